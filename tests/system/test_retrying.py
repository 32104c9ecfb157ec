"""What did not succeed is sent back to the queue, once for each time that somebody asks."""

import pytest
from tests.system.daemons import Rig

from stoker_client.errors import BadRequest, InvalidState, NotFound
from stoker_protocol.events import JobRetried
from stoker_protocol.jobs import ItemCounts, ItemState, JobState
from stoker_protocol.replies import ErrorReply, Retried
from stoker_protocol.requests import Retry


def test_failed_items_run_again(rig: Rig) -> None:
    """We expect only the failed items to run again, with fresh attempts, and the job to become what they make of it."""
    cured = {"prompt": "cured", "do": "fail", "kind": "server_error", "times": 2}
    job = rig.run("good", cured, {"prompt": "bad", "do": "fail"}, max_attempts=2, batch_size=1)
    assert (job.state, job.items) == (JobState.FAILED, ItemCounts(total=3, succeeded=1, failed=2))
    answer = rig.client.retry(job.job_id)
    assert (answer.requeued, answer.rev) == (2, job.rev + 1)
    again = rig.wait(job.job_id)
    assert (again.state, again.items) == (JobState.FAILED, ItemCounts(total=3, succeeded=2, failed=1))
    assert again.finished_at_ms is not None
    assert job.finished_at_ms is not None
    assert again.finished_at_ms > job.finished_at_ms
    assert rig.executions() == {"good": 1, "cured": 3, "bad": 2}
    assert [event.requeued for event in rig.events(JobRetried)] == [2]


def test_cancelled_items_run_again(rig: Rig) -> None:
    """We expect a cancelled job to end well after a retry of its cancelled items, and not before they are named."""
    gate = rig.gate()
    job_id = rig.submit("made", gate.item("held"), "waits", batch_size=2)
    gate.wait()
    rig.client.cancel(job_id)
    assert rig.wait(job_id).state is JobState.CANCELLED
    with pytest.raises(InvalidState) as refused:
        rig.client.retry(job_id)
    assert refused.value.field == "states"
    gate.open()
    assert rig.client.retry(job_id, ["failed", "cancelled"]).requeued == 2
    job = rig.wait(job_id)
    assert (job.state, job.items) == (JobState.SUCCEEDED, ItemCounts(total=3, succeeded=3))
    assert rig.executions() == {"made": 1, "held": 2, "waits": 1}


def test_retry_again_does_nothing_more(rig: Rig) -> None:
    """We expect the same retry to be answered the same, and one that saw an older state to be refused."""
    job = rig.run({"prompt": "x", "do": "fail"})
    asked = Retry(id="1", job_id=job.job_id, rev=job.rev)
    first = rig.ask(asked)
    assert isinstance(first, Retried)
    assert first == rig.ask(asked)
    rig.wait(job.job_id)
    assert rig.ask(asked) == first
    assert rig.executions() == {"x": 2}
    for rev in (first.rev + 1, job.rev + 7):
        reply = rig.ask(Retry(id="2", job_id=job.job_id, rev=rev))
        assert isinstance(reply, ErrorReply)
        assert (reply.code, reply.field) == ("conflict", "rev")


def test_retry_of_what_was_cancelled_since(rig: Rig) -> None:
    """We expect a retry of a job that somebody cancelled since it was looked at to be a conflict."""
    job = rig.run({"prompt": "x", "do": "fail"}, {"prompt": "y", "do": "fail"}, batch_size=1)
    rig.client.pause()
    rig.client.retry(job.job_id)
    seen = rig.client.job(job.job_id)
    rig.client.cancel(job.job_id)
    reply = rig.ask(Retry(id="1", job_id=job.job_id, rev=seen.rev, states=(ItemState.CANCELLED,)))
    assert isinstance(reply, ErrorReply)
    assert reply.code == "conflict"


def test_retry_of_a_running_job(rig: Rig) -> None:
    """We expect the failed items of a job to run again while others of it are still at work."""
    gate = rig.gate()
    job_id = rig.submit({"prompt": "x", "do": "fail"}, gate.item("held"), batch_size=1)
    gate.wait()
    assert rig.client.retry(job_id).requeued == 1
    gate.open()
    rig.wait(job_id)
    assert rig.executed() == ["x", "held", "x"]


def test_what_cannot_be_retried(rig: Rig) -> None:
    """We expect a retry of succeeded items, of nothing, or of a job that is not there to be refused by name."""
    job = rig.run("a")
    with pytest.raises(BadRequest) as refused:
        rig.client.retry(job.job_id, ["succeeded"])
    assert refused.value.field == "states"
    with pytest.raises(InvalidState):
        rig.client.retry(job.job_id)
    with pytest.raises(NotFound):
        rig.client.retry("nobody")
    assert rig.client.job(job.job_id) == job
