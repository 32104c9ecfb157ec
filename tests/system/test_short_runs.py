"""Runs so short that a commit takes longer are claimed together, and nobody can tell but by the clock."""

from itertools import pairwise

from tests.system.daemons import Rig
from tests.worker.processes import wait_for

from stoker_protocol.events import RunFinished, RunStarted
from stoker_protocol.jobs import ItemState, JobState

MANY = 100
"""More than it takes to be sure that runs are short."""


def _short(count: int = MANY, prompt: str = "short") -> list[str]:
    return [f"{prompt} {n}" for n in range(count)]


def _told(rig: Rig, job_id: str) -> list[RunStarted | RunFinished]:
    """The starts and ends of a job's runs, in the order of their commits."""
    events = [*rig.events(RunStarted), *rig.events(RunFinished)]
    return sorted((event for event in events if event.job.job_id == job_id), key=lambda event: event.seq or 0)


def test_short_runs_are_claimed_together(rig: Rig) -> None:
    """We expect several starts in one commit after many short runs, and each item run once, in order.

    On a machine that is busy with other things a run may not be short: then it is tried again.
    """
    prompts: list[str] = []

    def are_claimed_together() -> bool:
        prompts.extend(_short(prompt=f"short {len(prompts)}"))
        job_id = rig.submit(*prompts[-MANY:], batch_size=1)
        assert rig.wait(job_id).state is JobState.SUCCEEDED
        assert {item.attempts for item in rig.items(job_id)} == {1}
        told = _told(rig, job_id)
        return any(isinstance(one, RunStarted) and isinstance(two, RunStarted) for one, two in pairwise(told))

    wait_for(are_claimed_together)
    assert rig.executed() == prompts


def test_what_waits_for_a_long_run_goes_back(rig: Rig) -> None:
    """We expect only the long one to be at work, and what came before it to be told, when a run among short ones is."""
    gate = rig.gate()
    job_id = rig.submit(*_short(), gate.item("long"), *_short(20, "later"), batch_size=1)
    gate.wait()
    job = rig.wait_until(job_id, lambda job: job.items.running == 1 and job.items.succeeded == MANY)
    assert job.items.pending == 20
    urgent = rig.submit("urgent", priority="urgent")
    gate.open()
    assert rig.wait(urgent).state is rig.wait(job_id).state is JobState.SUCCEEDED
    assert rig.executed() == [*_short(), "long", "urgent", *_short(20, "later")]
    assert {item.attempts for item in rig.items(job_id)} == {1}


def test_items_that_must_not_run_again_are_claimed_in_their_turn(rig: Rig) -> None:
    """We expect no two runs of a job to be claimed together whose interrupted items shall fail."""
    rig.run(*_short(), batch_size=1)
    job_id = rig.submit(*_short(20, "once"), batch_size=1, on_interrupt="fail")
    assert rig.wait(job_id).state is JobState.SUCCEEDED
    starts = [isinstance(event, RunStarted) for event in _told(rig, job_id)]
    assert starts == [True, False] * 20


def test_cancel_among_short_runs(rig: Rig) -> None:
    """We expect a cancelled job to run nothing more, whatever was claimed of it."""
    gate = rig.gate()
    job_id = rig.submit(*_short(), gate.item("long"), *_short(20, "later"), batch_size=1)
    gate.wait()
    rig.client.cancel(job_id)
    assert rig.wait(job_id).state is JobState.CANCELLED
    assert rig.executed() == [*_short(), "long"]
    assert [item.state for item in rig.items(job_id)] == [ItemState.SUCCEEDED] * MANY + [ItemState.CANCELLED] * 21


def test_death_of_the_worker_among_short_runs(rig: Rig) -> None:
    """We expect the item that killed its worker to pay for it, and none that waited behind it."""
    killer = {"prompt": "killer", "do": "kill", "times": 1}
    job_id = rig.submit(*_short(), killer, *_short(20, "later"), batch_size=1)
    assert rig.wait(job_id).state is JobState.SUCCEEDED
    executions = rig.executions()
    assert executions.pop("killer") == 2
    assert set(executions.values()) == {1}
    assert [item.attempts for item in rig.items(job_id)] == [1] * MANY + [2] + [1] * 20


def test_kill_among_short_runs(rig: Rig) -> None:
    """We expect every item to end with one outcome when the daemon is killed in the middle of short runs."""
    job_id = rig.submit(*_short(10 * MANY), batch_size=1)
    rig.wait_until(job_id, lambda job: job.items.succeeded >= MANY)
    rig.kill()
    rig.restart()
    job = rig.wait(job_id)
    assert (job.state, job.items.succeeded) == (JobState.SUCCEEDED, 10 * MANY)
    assert len(rig.executions()) == 10 * MANY


def test_stop_among_short_runs(rig: Rig) -> None:
    """We expect a daemon that is stopped to run nothing twice, and the next one to go on."""
    job_id = rig.submit(*_short(10 * MANY), batch_size=1)
    rig.wait_until(job_id, lambda job: job.items.succeeded >= MANY)
    rig.stop()
    rig.restart()
    assert rig.wait(job_id).state is JobState.SUCCEEDED
    assert rig.executed() == _short(10 * MANY)
