"""An item that fails is tried again as its kind of failure asks for, and never takes others with it."""

from pathlib import Path

import pytest
from tests.system.daemons import Rig, a_rig, config

from stoker_protocol.errors import KINDS, FailureKind, RetryClass
from stoker_protocol.events import EngineDown, RunEscalated, RunFinished, RunStarted
from stoker_protocol.jobs import ItemCounts, JobState, Outcome


def _outcomes(rig: Rig, index: int) -> list[Outcome]:
    return [o for event in rig.events(RunFinished) for o in event.outcomes if o.index == index]


def test_one_bad_item_among_good_ones(rig: Rig) -> None:
    """We expect the job to fail with the bad item's reason, and the others of its batch to keep their results."""
    job = rig.run("a", {"prompt": "bad", "do": "fail", "kind": "invalid", "message": "no such colour"}, "c")
    assert (job.state, job.items) == (JobState.FAILED, ItemCounts(total=3, succeeded=2, failed=1))
    assert job.error is not None
    assert (job.error.kind, job.error.message) == ("invalid", "no such colour")
    assert rig.executed() == ["a", "bad", "c"]
    assert rig.states(job.job_id) == ["succeeded", "failed", "succeeded"]


_RETRIED = [kind for kind in FailureKind if KINDS[kind] in (RetryClass.ALONE, RetryClass.BACKOFF)]


@pytest.mark.parametrize("kind", [kind for kind in _RETRIED if kind is not FailureKind.CRASH])
def test_failure_that_may_pass_is_tried_again(rig: Rig, kind: FailureKind) -> None:
    """We expect attempts until one succeeds, each later than the one before, and all of them told."""
    job = rig.run({"prompt": "x", "do": "fail", "kind": kind.value, "times": 2})
    assert (job.state, rig.executions()["x"]) == (JobState.SUCCEEDED, 3)
    assert [(o.attempt, o.state, o.error and o.error.kind) for o in _outcomes(rig, 0)] == [
        (1, "pending", kind),
        (2, "pending", kind),
        (3, "succeeded", None),
    ]
    (item,) = rig.items(job.job_id)
    assert (item.attempts, item.error) == (3, None)


@pytest.mark.parametrize("max_attempts", [1, 2, 5])
def test_attempts_are_bounded(rig: Rig, max_attempts: int) -> None:
    """We expect an item to fail for good after the attempts that its job allows."""
    job = rig.run({"prompt": "x", "do": "fail", "kind": "server_error"}, "y", max_attempts=max_attempts, batch_size=1)
    assert (job.state, rig.executions()) == (JobState.FAILED, {"x": max_attempts, "y": 1})
    assert [item.attempts for item in rig.items(job.job_id)] == [max_attempts, 1]


@pytest.mark.parametrize("kind", [FailureKind.INVALID, FailureKind.REFUSED])
def test_failure_that_will_not_pass_is_final(rig: Rig, kind: FailureKind) -> None:
    """We expect no second attempt where it can't help."""
    job = rig.run({"prompt": "x", "do": "fail", "kind": kind.value})
    assert (job.state, rig.executions()["x"]) == (JobState.FAILED, 1)


def test_back_off_holds_up_nobody(tmp_path: Path) -> None:
    """We expect other items to run while one waits for its next attempt, and that one to run when its time has come."""
    with a_rig(tmp_path, config(backoff_base_s=0.5, backoff_max_s=0.5)) as rig:
        waiting = rig.submit({"prompt": "x", "do": "fail", "kind": "rate_limit", "times": 1})
        seen = rig.wait_until(waiting, lambda job: job.items.pending and job.started_at_ms)
        (item,) = rig.items(waiting)
        assert item.not_before_ms is not None
        assert seen.started_at_ms is not None
        assert item.not_before_ms - seen.started_at_ms >= 250
        rig.run("other")
        assert rig.wait(waiting).state is JobState.SUCCEEDED
        assert rig.executed() == ["x", "other", "x"]


@pytest.mark.parametrize("fault", ["oom", "memory_error", "raise", "segfault", "exit"])
def test_batch_that_fails_as_a_whole_is_tried_one_by_one(rig: Rig, fault: str) -> None:
    """We expect members that had no result to run alone then, at no charge, and those that had one to keep it."""
    job = rig.run("a", {"prompt": "b", "do": fault, "above": 1}, "c", "d")
    assert (job.state, job.items.succeeded) == (JobState.SUCCEEDED, 4)
    assert [event.run.indexes for event in rig.events(RunStarted)] == [[0, 1, 2, 3], [1], [2], [3]]
    assert rig.executions() == {"a": 1, "b": 2, "c": 1, "d": 1}
    assert [item.attempts for item in rig.items(job.job_id)] == [1, 1, 1, 1]


def test_item_that_says_nothing_fails(rig: Rig) -> None:
    """We expect an item that its model returned nothing for to be tried again, then failed, and not its neighbours."""
    job = rig.run("a", {"prompt": "b", "do": "nothing"}, "c", max_attempts=2)
    assert rig.states(job.job_id) == ["succeeded", "failed", "succeeded"]
    assert job.error is not None
    assert job.error.kind == "internal"
    assert rig.executions() == {"a": 1, "b": 2, "c": 1}


def test_item_that_takes_too_long_is_stopped(rig: Rig) -> None:
    """We expect an item at its gate, which reports that it is there, to be interrupted when its time is over."""
    held = rig.gate().item("held")
    job = rig.run("a", held, "c", timeout_s=0.5, max_attempts=1, batch_size=1)
    assert rig.states(job.job_id) == ["succeeded", "failed", "succeeded"]
    assert job.error is not None
    assert (job.error.kind, job.error.message) == ("timeout", "took longer than 0.5 s")
    assert [(event.rung, event.reason) for event in rig.events(RunEscalated)] == [("interrupt", "timeout")]
    assert rig.events(EngineDown) == []


def test_batch_has_the_time_of_all_its_items(rig: Rig) -> None:
    """We expect only the slow one of a batch that was too slow to fail, after the others had their turn alone."""
    job = rig.run("a", rig.gate().item("held"), "c", timeout_s=0.2, max_attempts=1)
    assert rig.states(job.job_id) == ["succeeded", "failed", "succeeded"]
    first, *_ = rig.events(RunFinished)
    assert [o.state for o in first.outcomes] == ["succeeded", "pending", "pending"]
    assert rig.executions() == {"a": 1, "held": 2, "c": 1}
    job_error = rig.client.job(job.job_id).error
    assert job_error is not None
    assert job_error.kind == "timeout"


def test_silent_item_is_ended(rig: Rig) -> None:
    """We expect a model that shows no sign of life to be ended and its item failed, and the next item to run."""
    job = rig.run({"prompt": "silent", "do": "hang"}, "b", no_progress_s=0.3, max_attempts=1, batch_size=1)
    assert rig.states(job.job_id) == ["failed", "succeeded"]
    assert job.error is not None
    assert (job.error.kind, job.error.message) == ("no_progress", "showed no progress for 0.3 s")
    assert [event.rung for event in rig.events(RunEscalated)] == ["interrupt", "terminate"]


@pytest.mark.parametrize("model", ["broken", "huge", "fatal"])
def test_model_that_does_not_load(rig: Rig, model: str) -> None:
    """We expect its items to fail for the reason that the load gave, and those of another model to run."""
    bad = rig.submit("x", "y", model=model, max_attempts=2)
    good = rig.run("z", model="one")
    job = rig.wait(bad)
    assert (job.state, good.state) == (JobState.FAILED, JobState.SUCCEEDED)
    assert rig.states(bad) == ["failed", "failed"]
    assert rig.executed() == ["z"]
