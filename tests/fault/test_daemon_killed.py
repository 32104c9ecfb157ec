"""kill -9 of the daemon at any point: each accepted item ends with one outcome, and finished work is not run again."""

import random
from collections import Counter
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import pytest
from tests.fault.audit import audit, audit_settled, connect
from tests.fault.failpoints import COMMITTED, SAVED, SENT, TOLD, a_failing_rig, die_at, wait_for_death
from tests.system.daemons import Rig

from stoker_client import Client
from stoker_client.errors import Conflict, DaemonUnavailable
from stoker_protocol.events import DaemonStarted, JobCancelled, JobRetried, JobSubmitted, RunFinished, RunStarted
from stoker_protocol.jobs import ItemCounts, JobState

PROMPTS = [f"item {n}" for n in range(6)]
STORE = "stoker_daemon.sqlite.store:Store"


def _finish(rig: Rig, job_id: str) -> None:
    """Let an ordinary daemon do what is left, and check that all is as it should be."""
    rig.restart()
    job = rig.wait(job_id)
    assert (job.state, job.items.succeeded) == (JobState.SUCCEEDED, job.items.total)
    rig.stop()
    assert audit_settled(rig.data_dir).states == {"succeeded": job.items.total}


def _succeeded(rig: Rig) -> set[str]:
    """The prompts of all items whose success is on disk."""
    with closing(connect(rig.data_dir)) as connection:
        return {f"item {index}" for (index,) in connection.execute("SELECT idx FROM items WHERE state = 'succeeded'")}


@pytest.mark.parametrize("publish", range(1, 7))
def test_after_the_name_and_before_the_row(tmp_path: Path, publish: int) -> None:
    """We expect a file whose row was not committed, or half of its batch, to be made anew, and the others not."""
    with a_failing_rig(tmp_path, failpoint=f"{SAVED} after {publish}") as rig:
        job_id = rig.submit(*PROMPTS, batch_size=2)
        wait_for_death(rig)
        audit(rig.data_dir)
        done = _succeeded(rig)
        _finish(rig, job_id)
        assert all(rig.executions()[prompt] == 1 for prompt in done)
        assert max(rig.executions().values()) <= 2


@pytest.mark.parametrize("number", [1, 2, 3])
def test_after_a_record_and_before_anyone_knows(tmp_path: Path, number: int) -> None:
    """We expect recorded work never to run again: each item is executed once."""
    with a_failing_rig(tmp_path, failpoint=f"{STORE}.record after {number}") as rig:
        job_id = rig.submit(*PROMPTS, batch_size=2)
        wait_for_death(rig)
        assert len(_succeeded(rig)) == 2 * number
        _finish(rig, job_id)
        assert rig.executions() == dict.fromkeys(PROMPTS, 1)


@pytest.mark.parametrize("number", [1, 2, 3])
def test_after_a_claim_and_before_the_engine_knows(tmp_path: Path, number: int) -> None:
    """We expect a claimed run that never began to be handed back, and each item to be executed once."""
    with a_failing_rig(tmp_path, failpoint=f"{SENT} before {number}") as rig:
        job_id = rig.submit(*PROMPTS, batch_size=2)
        wait_for_death(rig)
        expected = Counter(succeeded=2 * (number - 1), running=2, pending=6 - 2 * number)
        assert audit(rig.data_dir).states == expected
        _finish(rig, job_id)
        assert rig.executions() == dict.fromkeys(PROMPTS, 1)
        assert [event.interrupted for event in rig.events(DaemonStarted)] == [0, 1]


def test_submit_whose_reply_is_lost(tmp_path: Path) -> None:
    """We expect the same submit again to be the same job, before and after it ran, and another body a conflict."""
    with a_failing_rig(tmp_path, failpoint=f"{STORE}.accept after 1") as rig:
        with Client(rig.daemon.control, timeout_s=1) as hasty, pytest.raises(DaemonUnavailable):
            hasty.submit(PROMPTS, job_id="once", params={"log": str(rig.log)})
        wait_for_death(rig)
        assert audit(rig.data_dir).states == {"pending": 6}
        rig.restart()
        for _ in range(2):
            rig.submit(*PROMPTS, job_id="once")
            assert rig.wait("once").items == ItemCounts(total=6, succeeded=6)
        with pytest.raises(Conflict):
            rig.submit(*PROMPTS, "one more", job_id="once")
        assert [job.job_id for job in rig.client.jobs()] == ["once"]
        assert len(rig.events(JobSubmitted)) == 1
        assert rig.executions() == dict.fromkeys(PROMPTS, 1)


def test_submit_that_was_not_accepted(tmp_path: Path) -> None:
    """We expect a submit that died before its commit to have never been, and to be accepted when it comes again."""
    with a_failing_rig(tmp_path, failpoint=f"{STORE}.accept before 1") as rig:
        with Client(rig.daemon.control, timeout_s=1) as hasty, pytest.raises(DaemonUnavailable):
            hasty.submit(PROMPTS, job_id="once", params={"log": str(rig.log)})
        wait_for_death(rig)
        assert audit(rig.data_dir).states == {}
        rig.restart()
        rig.submit(*PROMPTS, job_id="once")
        assert rig.wait("once").state is JobState.SUCCEEDED


def _cancel(client: Client, job_id: str) -> object:
    return client.cancel(job_id)


def _retry(client: Client, job_id: str) -> object:
    return client.retry(job_id, ["failed", "cancelled"])


def _pause(client: Client, job_id: str) -> object:
    return client.pause(job_id, reason="why not")


@pytest.mark.parametrize(("verb", "method"), [(_cancel, "cancel"), (_retry, "retry"), (_pause, "pause")])
def test_what_people_did_is_done_once(tmp_path: Path, verb: Callable[[Client, str], object], method: str) -> None:
    """We expect a change whose reply was lost to be in force after the restart, and to be harmless to repeat."""
    with a_failing_rig(tmp_path, failpoint=f"{STORE}.{method} after 1") as rig:
        job_id = rig.submit({"prompt": "bad", "do": "fail"}, rig.gate().item("held"), batch_size=1)
        rig.gate().wait()
        with Client(rig.daemon.control, timeout_s=1) as hasty, suppress(DaemonUnavailable):
            verb(hasty, job_id)
        wait_for_death(rig)
        rig.gate().open()
        rig.restart()
        if method == "pause":
            assert rig.client.job(job_id).paused
            rig.client.pause(job_id, reason="another")
            rig.client.resume(job_id)
        elif method == "cancel":
            _cancel(rig.client, job_id)
        job = rig.wait(job_id)
        counts = [len(rig.events(kind)) for kind in (JobCancelled, JobRetried)]
        match method:
            case "cancel":
                assert (job.state, counts) == (JobState.CANCELLED, [1, 0])
                assert rig.executions() == {"bad": 1, "held": 1}
            case "retry":
                assert (job.state, counts) == (JobState.FAILED, [0, 1])
                assert rig.executions() == {"bad": 2, "held": 2}
            case _:
                assert (job.state, counts) == (JobState.FAILED, [0, 0])
                assert rig.executions() == {"bad": 1, "held": 2}


def test_at_random_events(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    """We expect 200 items to survive 20 deaths at random events: none lost, doubled, torn or run after its success."""
    seed = random.randrange(1 << 32)
    record_property("seed of the 20 deaths", seed)
    dice = random.Random(seed)
    frozen: dict[str, int] = {}
    with a_failing_rig(tmp_path) as rig:
        rig.client.pause()
        job_id = rig.submit(*(f"item {n}" for n in range(200)), batch_size=1)
        rig.client.resume()
        rig.kill()
        for _ in range(20):
            die_at(
                rig, dice.choice([f"{TOLD} after {dice.randint(1, 20)}", f"{COMMITTED} after {dice.randint(1, 12)}"])
            )
            audit(rig.data_dir)
            done = _succeeded(rig)
            assert frozen.keys() <= done
            frozen |= {prompt: rig.executions()[prompt] for prompt in done - frozen.keys()}
        _finish(rig, job_id)
        assert len(frozen) < 200
        assert {prompt: rig.executions()[prompt] for prompt in frozen} == frozen
        runs = audit(rig.data_dir).runs
        assert all(rig.executions()[f"item {index}"] <= count for (_, index), count in runs.items())
        assert len(rig.events(RunStarted)) == len(rig.events(RunFinished)) == runs.total()
