"""One cancel ends a job wherever it is, says what it did, and touches nothing else."""

import pytest
from tests.system.daemons import Rig

from stoker_client.errors import BadRequest, NotFound
from stoker_protocol.events import EngineDown, JobCancelled, ModelLoaded, RunEscalated
from stoker_protocol.jobs import ItemCounts, JobState
from stoker_protocol.replies import CancelledJob, ErrorReply
from stoker_protocol.requests import Cancel


def test_queued_job_is_cancelled_at_once(rig: Rig) -> None:
    """We expect none of its items to run, and the jobs around it to run as if it had never been."""
    gate = rig.gate()
    before = rig.submit(gate.item("before"))
    gate.wait()
    doomed, after = rig.submit("doomed 1", "doomed 2"), rig.submit("after")
    assert rig.client.cancel(doomed).jobs == [CancelledJob(doomed, JobState.CANCELLED, dropped=2, stopping=0)]
    job = rig.client.job(doomed)
    assert (job.state, job.items, job.error) == (JobState.CANCELLED, ItemCounts(total=2, cancelled=2), None)
    assert job.finished_at_ms is not None
    gate.open()
    assert [rig.wait(one).state for one in (before, after)] == [JobState.SUCCEEDED, JobState.SUCCEEDED]
    assert rig.executed() == ["before", "after"]


def test_running_job_is_stopped(rig: Rig) -> None:
    """We expect the run at work to be interrupted, what it had made to be kept, and the model to stay loaded."""
    gate = rig.gate()
    doomed = rig.submit("made", gate.item("held"), "never", "waits", batch_size=3)
    other = rig.submit("other")
    gate.wait()
    (answer,) = rig.client.cancel(doomed).jobs
    assert (answer.dropped, answer.stopping) == (1, 3)
    assert answer.state is JobState.CANCELLING
    job = rig.wait(doomed)
    assert (job.state, job.items) == (JobState.CANCELLED, ItemCounts(total=4, succeeded=1, cancelled=3))
    assert rig.states(doomed) == ["succeeded", "cancelled", "cancelled", "cancelled"]
    assert rig.wait(other).state is JobState.SUCCEEDED
    assert rig.executed() == ["made", "held", "other"]
    assert len(rig.events(ModelLoaded)) == 1
    assert [(event.rung, event.reason) for event in rig.events(RunEscalated)] == [("interrupt", "cancel")]


@pytest.mark.parametrize(("fault", "rungs"), [("hold_gil", 2), ("stop", 3)])
def test_stuck_run_is_ended_step_by_step(rig: Rig, fault: str, rungs: int) -> None:
    """We expect a run that does not hear to be ended with its process, all steps told, and the other job to run."""
    doomed = rig.submit({"prompt": "stuck", "do": fault})
    other = rig.submit("other")
    rig.wait_until(doomed, lambda _: rig.executed() == ["stuck"])
    rig.client.cancel(doomed)
    assert rig.wait(doomed).state is JobState.CANCELLED
    assert rig.wait(other).state is JobState.SUCCEEDED
    expected = ["interrupt", "terminate", "kill"][:rungs]
    assert [event.rung for event in rig.events(RunEscalated)] == expected
    assert len(rig.events(EngineDown)) == 1
    assert rig.executed() == ["stuck", "other"]


def test_item_that_waits_for_its_next_attempt_is_dropped(rig: Rig) -> None:
    """We expect a cancel to reach what backs off after a failure, and nothing of it to come back."""
    doomed = rig.submit({"prompt": "x", "do": "fail", "kind": "timeout"}, max_attempts=100)
    rig.wait_until(doomed, lambda _: rig.executions()["x"] > 2)
    rig.client.cancel(doomed)
    assert rig.wait(doomed).state is JobState.CANCELLED
    count = rig.executions()["x"]
    rig.run("y")
    assert rig.executions() == {"x": count, "y": 1}


def test_cancel_again_does_nothing_more(rig: Rig) -> None:
    """We expect a second cancel, or one of a finished job, to be answered with its state and to tell nothing."""
    gate = rig.gate()
    busy = rig.submit(gate.item("busy"), "rest", batch_size=1)
    gate.wait()
    doomed = rig.submit("doomed")
    rig.client.cancel(doomed)
    assert rig.client.cancel(doomed).jobs == [CancelledJob(doomed, JobState.CANCELLED, dropped=0, stopping=0)]
    rig.client.cancel(busy)
    again = rig.client.cancel(busy, busy).jobs
    assert [(one.job_id, one.dropped) for one in again] == [(busy, 0)]
    rig.wait(busy)
    done = rig.run("done")
    assert rig.client.cancel(done.job_id).jobs == [CancelledJob(done.job_id, JobState.SUCCEEDED, dropped=0, stopping=0)]
    assert rig.client.job(done.job_id) == done
    assert [event.job.job_id for event in rig.events(JobCancelled)] == [doomed, busy]


def test_cancel_all_that_is_queued(rig: Rig) -> None:
    """We expect jobs that have begun, or are over, to be left alone."""
    done = rig.run("done")
    gate = rig.gate()
    begun = rig.submit(gate.item("begun"), "rest", batch_size=1)
    gate.wait()
    queued = [rig.submit(f"queued {n}") for n in range(60)]
    assert [one.job_id for one in rig.client.cancel_all("queued").jobs] == queued
    assert rig.client.cancel_all("queued").jobs == []
    gate.open()
    assert rig.wait(begun).state is JobState.SUCCEEDED
    assert rig.client.job(done.job_id) == done
    assert {rig.client.job(job_id).state for job_id in queued} == {JobState.CANCELLED}
    assert rig.executed() == ["done", "begun", "rest"]


def test_cancel_all(rig: Rig) -> None:
    """We expect everything that is not over to be cancelled, and what comes later to run."""
    done = rig.run("done")
    gate = rig.gate()
    begun = rig.submit(gate.item("begun"), "rest", batch_size=1)
    gate.wait()
    queued, held = rig.submit("queued"), rig.submit("held back")
    rig.client.pause(held, reason="later")
    answers = rig.client.cancel_all().jobs
    assert [(one.job_id, one.dropped, one.stopping) for one in answers] == [(begun, 1, 1), (queued, 1, 0), (held, 1, 0)]
    assert {rig.wait(job_id).state for job_id in (begun, queued, held)} == {JobState.CANCELLED}
    assert rig.client.job(held).paused is None
    assert rig.client.job(done.job_id) == done
    assert rig.run("later").state is JobState.SUCCEEDED
    assert rig.client.cancel_all().jobs == []
    assert rig.executed() == ["done", "begun", "later"]


def test_unknown_job_stops_the_whole_cancel(rig: Rig) -> None:
    """We expect a cancel of many that names one that is not there to be refused with nothing changed."""
    rig.client.pause()
    jobs = [rig.submit(str(n)) for n in range(60)]
    with pytest.raises(NotFound) as refused:
        rig.client.cancel(*jobs, "nobody")
    assert refused.value.field == "job_ids"
    assert {job.state for job in rig.client.jobs()} == {JobState.QUEUED}


@pytest.mark.parametrize("request_", [Cancel(id="1"), Cancel(id="1", job_ids=["a"], scope="all")])
def test_cancel_of_what_is_refused(rig: Rig, request_: Cancel) -> None:
    """We expect a cancel to name either jobs or a scope."""
    reply = rig.ask(request_)
    assert isinstance(reply, ErrorReply)
    assert (reply.code, reply.field) == ("bad_request", "job_ids")
    with pytest.raises(BadRequest):
        rig.client.cancel()
