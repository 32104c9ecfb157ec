"""What is to come is told beforehand, carried out as it was told, and each job says why it does not run yet."""

import random
from pathlib import Path

import pytest
from tests.system.daemons import FAULTS, Rig, a_rig, config

from stoker_client.errors import NotFound, StalePlan
from stoker_protocol.events import RunStarted
from stoker_protocol.plans import Delay
from stoker_protocol.replies import Plan


def _fill(rig: Rig, jobs: int = 12) -> list[str]:
    """Jobs of one to three items for two models and several priorities, in a queue that is held back."""
    rig.client.pause(reason="planning")
    dice = random.Random(7)
    return [
        rig.submit(
            *(f"{number}.{item}" for item in range(dice.randint(1, 3))),
            model=("one", "two")[number % 2],
            priority=dice.choice(["high", "normal", "low"]),
            batch_size=dice.choice([0, 0, 2]),
        )
        for number in range(jobs)
    ]


def _planned(plan: Plan) -> list[list[tuple[str, int]]]:
    return [[(share.job_id, share.items) for share in run.shares] for wave in plan.waves for run in wave.runs]


def _executed(rig: Rig) -> list[list[tuple[str, int]]]:
    """The runs that began, in order, as a plan tells them."""
    runs: dict[str, list[tuple[str, int]]] = {}
    for event in rig.events(RunStarted):
        runs.setdefault(event.run.run_id, []).append((event.job.job_id, len(event.run.indexes)))
    return list(runs.values())


def test_a_plan_is_carried_out_as_it_was_told(rig: Rig) -> None:
    """We expect the same items together in the same order, each once, and the queue to go on by itself."""
    jobs = _fill(rig)
    plan = rig.client.plan()
    assert (plan.is_whole, plan.is_paused) == (True, True)
    assert {wave.model for wave in plan.waves} == {"one", "two"}
    assert plan.done_s.p50 <= plan.done_s.p90
    assert plan.fifo_s >= plan.done_s.p50
    assert [job.job_id for job in plan.jobs if job.done_s is None] == []
    begun = rig.client.execute_plan(plan.token)
    assert begun.runs == len(_planned(plan))
    assert [rig.wait(job).state for job in jobs] == ["succeeded"] * len(jobs)
    assert _executed(rig) == _planned(plan)
    assert set(rig.executions().values()) == {1}


def test_a_plan_is_stale_once_the_queue_has_changed(rig: Rig) -> None:
    """We expect a refusal, and nothing begun, after a job was added, or for a token that nobody gave out."""
    _fill(rig, jobs=3)
    plan = rig.client.plan()
    rig.submit("late")
    with pytest.raises(StalePlan, match="what waits has changed"):
        rig.client.execute_plan(plan.token)
    with pytest.raises(StalePlan):
        rig.client.execute_plan("nonsense")
    assert rig.client.snapshot().queue.paused is not None
    assert rig.executed() == []


def test_what_fails_comes_last_and_urgent_work_cuts_in(rig: Rig) -> None:
    """We expect a plan to hold the order: an item that fails is tried again after all that was planned."""
    rig.client.pause()
    log = {"times": 1}
    first = rig.submit({"prompt": "fails once", "do": "raise", **log}, "a", batch_size=1)
    rest = [rig.submit(f"b{number}", batch_size=1) for number in range(3)]
    rig.client.execute_plan(rig.client.plan().token)
    assert [rig.wait(job).state for job in (first, *rest)] == ["succeeded"] * 4
    assert rig.executed() == ["fails once", "a", "b0", "b1", "b2", "fails once"]


def test_why_a_job_waits(rig: Rig) -> None:
    """We expect the reason that holds: at work, behind others, next, held back alone or with all, over."""
    gate = rig.gate()
    held = rig.submit(gate.item("held"))
    gate.wait()
    jobs = [rig.submit("next"), rig.submit("behind", model="two"), rig.submit("paused")]
    following, behind, paused = jobs
    rig.client.pause(paused, reason="not yet")
    said = {job: rig.client.why(job) for job in [held, *jobs]}
    assert [each.delay for each in said.values()] == [Delay.RUNNING, Delay.NEXT, Delay.BEHIND, Delay.JOB_PAUSED]
    assert said[behind].text.startswith("It waits for 1 run of 1 model. one comes first: ")
    assert said[behind].start_s is not None
    assert (said[behind].latest_ms or 0) > said[behind].at_ms
    assert "not yet" in said[paused].text
    rig.client.pause(reason="a break")
    assert rig.client.why(following).delay is Delay.QUEUE_PAUSED
    rig.client.resume()
    gate.open()
    rig.wait(held)
    assert rig.client.why(held).delay is Delay.OVER
    with pytest.raises(NotFound):
        rig.client.why("nobody")


def test_why_a_job_that_failed_waits(rig_with_long_back_off: Rig) -> None:
    """We expect to be told when an item that failed is tried again."""
    rig = rig_with_long_back_off
    job = rig.submit({"prompt": "fails", "do": "fail", "kind": "server_error"})
    rig.wait_until(job, lambda job: job.items.pending and rig.executed())
    assert rig.client.why(job).delay is Delay.BACK_OFF
    rig.client.cancel(job)


def test_why_a_job_waits_that_has_waited_too_long(tmp_path: Path) -> None:
    """We expect a job past its cap to be told so, with what is done before it and when it runs at the latest."""
    caps = "[scheduling]\ncaps_s = [0.01, 0.02, 0.03, 0.04]\n"
    with a_rig(tmp_path, config(engines=FAULTS + caps)) as rig:
        gate = rig.gate()
        held = rig.submit(gate.item("held"))
        gate.wait()
        first, late = rig.submit("before"), rig.submit("late", model="two", priority="low")
        rig.wait_until(late, lambda _: rig.client.why(late).delay is Delay.CAPPED)
        said = rig.client.why(late)
        assert said.text.startswith("It waits for 1 run of 1 model, and has waited longer than the 0 s after which low")
        assert " one comes first: its model is loaded" in said.text
        assert (said.latest_ms or 0) > said.at_ms
        gate.open()
        assert [rig.wait(job).state for job in (held, first, late)] == ["succeeded"] * 3


def test_why_a_job_waits_whose_engine_is_down(tmp_path: Path) -> None:
    """We expect to be told which server can't be reached, why, and when it is tried again."""
    nobody = '[engines.studio]\nkind = "comfyui"\nurl = "http://127.0.0.1:9"\n'
    with a_rig(tmp_path, config(engines=nobody, backoff_base_s=60, backoff_max_s=60)) as rig:
        job = rig.client.submit(["a red dragon"]).job_id
        rig.wait_until(job, lambda _: rig.client.why(job).delay is Delay.ENGINE_DOWN)
        said = rig.client.why(job)
        assert said.text.startswith("Engine studio can't be reached (")
        assert "; tried again in " in said.text
        assert said.latest_ms is None
        rig.client.cancel(job)


ROWS = [{"prompt": prompt, "seed": seed} for seed, prompt in enumerate("aaabbcbb")]
"""Items that differ in nothing but the seed, in rows of 3, 2, 1 and 2."""


def test_a_strict_plan(rig: Rig) -> None:
    """We expect a plan of runs that differ in the seed only beside the usual one, each carried out as it was told."""
    rig.client.pause()
    job = rig.submit(*ROWS)
    usual, strict = rig.client.plan("mixed"), rig.client.plan("strict")
    assert [plan.grouping for plan in (usual, rig.client.plan(), strict)] == ["mixed", "mixed", "strict"]
    assert [number for run in _planned(usual) for _, number in run] == [8]
    assert [number for run in _planned(strict) for _, number in run] == [3, 2, 1, 2]
    assert strict.jobs[0].done_s is not None
    assert usual.done_s.p50 <= strict.done_s.p50
    rig.client.execute_plan(strict.token)
    rig.wait(job)
    assert _executed(rig) == _planned(strict)


def test_strict_runs(tmp_path: Path) -> None:
    """We expect runs of items that differ in the seed only where the configuration says so, also of several jobs."""
    with a_rig(tmp_path, config(engines=FAULTS + '[scheduling]\ngrouping = "strict"\n')) as rig:
        rig.client.pause()
        jobs = [rig.submit(*ROWS[:5]), rig.submit(*ROWS[3:])]
        plan = rig.client.plan()
        assert plan.grouping == "strict"
        first, second = jobs
        assert _planned(plan) == [[(first, 3)], [(first, 2), (second, 2)], [(second, 1)], [(second, 2)]]
        rig.client.resume()
        assert [rig.wait(job).state for job in jobs] == ["succeeded"] * 2
        assert _executed(rig) == _planned(plan)
