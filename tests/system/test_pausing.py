"""Work is held back for a reason that outlives the daemon, until somebody lets it go on."""

import pytest
from tests.system.daemons import Rig

from stoker_client.errors import InvalidState, NotFound
from stoker_protocol.events import JobPaused, JobResumed, QueuePaused, QueueResumed, RunEscalated
from stoker_protocol.jobs import ItemCounts, JobState


def test_paused_job_waits_and_others_do_not(rig: Rig) -> None:
    """We expect the run at work to end, the rest of its job to wait, other jobs to run, and a resume to go on."""
    gate = rig.gate()
    held = rig.submit(gate.item("first"), "second", batch_size=1)
    gate.wait()
    paused = rig.client.pause(held, reason="a film is shown").paused
    assert (paused.reason, paused.author) == ("a film is shown", "local")
    gate.open()
    assert rig.run("other").state is JobState.SUCCEEDED
    job = rig.client.job(held)
    assert (job.paused, job.state, job.items) == (paused, JobState.RUNNING, ItemCounts(total=2, pending=1, succeeded=1))
    assert rig.client.resume(held).was_paused
    assert rig.wait(held).state is JobState.SUCCEEDED
    assert rig.executed() == ["first", "other", "second"]
    assert [event.job.paused for event in rig.events(JobPaused)] == [paused]
    assert [(event.author, event.job.paused) for event in rig.events(JobResumed)] == [("local", None)]


def test_pause_outlives_the_daemon(rig: Rig) -> None:
    """We expect pauses of a job and of the queue, with reason, author and time, to be in force after a kill -9."""
    queue = rig.client.pause(reason="maintenance").paused
    job_id = rig.submit("a")
    pause = rig.client.pause(job_id, reason="not yet").paused
    rig.restart()
    assert rig.client.snapshot().queue.paused == queue
    assert rig.client.job(job_id).paused == pause
    rig.client.resume(job_id)
    rig.restart()
    assert (rig.client.job(job_id).paused, rig.executed()) == (None, [])
    assert rig.client.resume().was_paused
    assert rig.wait(job_id).state is JobState.SUCCEEDED


def test_paused_queue_takes_work_and_runs_none(rig: Rig) -> None:
    """We expect the run at work to end, whatever comes to be accepted, and nothing to begin before a resume."""
    gate = rig.gate()
    first = rig.submit(gate.item("first"), "second", batch_size=1)
    gate.wait()
    rig.client.pause(reason="tests")
    later = rig.submit("later", priority="urgent")
    gate.open()
    rig.wait_until(first, lambda job: job.items.succeeded == 1 and not job.items.running)
    assert rig.client.snapshot().queue.pending == 2
    rig.client.resume()
    rig.wait(first)
    rig.wait(later)
    assert rig.executed() == ["first", "later", "second"]
    assert [event.paused.reason for event in rig.events(QueuePaused)] == ["tests"]
    assert len(rig.events(QueueResumed)) == 1


@pytest.mark.parametrize("whole_queue", [False, True])
def test_pause_can_stop_what_runs(rig: Rig, *, whole_queue: bool) -> None:
    """We expect the run to be interrupted, what it had made to be kept, and the rest to run once more at no charge."""
    gate = rig.gate()
    job_id = rig.submit("made", gate.item("held"))
    gate.wait()
    rig.client.pause(None if whole_queue else job_id, interrupt=True)
    rig.wait_until(job_id, lambda job: job.items == ItemCounts(total=2, pending=1, succeeded=1))
    assert [(event.rung, event.reason) for event in rig.events(RunEscalated)] == [("interrupt", "pause")]
    gate.open()
    rig.client.resume(None if whole_queue else job_id)
    assert rig.wait(job_id).state is JobState.SUCCEEDED
    assert rig.executions() == {"made": 1, "held": 2}
    assert [item.attempts for item in rig.items(job_id)] == [1, 1]


def test_earlier_pause_stays(rig: Rig) -> None:
    """We expect a second pause to be answered with the first one's reason, and a second resume to find nothing."""
    first = rig.client.pause(reason="first").paused
    assert rig.client.pause(reason="second").paused == first
    job_id = rig.submit("a")
    mine = rig.client.pause(job_id, reason="mine").paused
    assert rig.client.pause(job_id, reason="again").paused == mine
    assert [rig.client.resume(job_id).was_paused for _ in range(2)] == [True, False]
    assert [rig.client.resume().was_paused for _ in range(2)] == [True, False]
    rig.wait(job_id)
    counts = [len(rig.events(kind)) for kind in (QueuePaused, QueueResumed, JobPaused, JobResumed)]
    assert counts == [1, 1, 1, 1]


def test_paused_job_may_end(rig: Rig) -> None:
    """We expect a pause to end with its job: when the last runs at work are done nothing is held any more."""
    gate = rig.gate()
    job_id = rig.submit(gate.item("x", do="fail"))
    gate.wait()
    rig.client.pause(job_id, reason="too late")
    gate.open()
    job = rig.wait(job_id)
    assert (job.state, job.paused) == (JobState.FAILED, None)
    rig.client.retry(job_id)
    assert rig.wait(job_id).state is JobState.FAILED
    assert rig.executions() == {"x": 2}


def test_finished_job_cannot_be_paused(rig: Rig) -> None:
    """We expect a pause of what is over, or was never there, to be refused, and a resume of it to find nothing."""
    job = rig.run("a")
    with pytest.raises(InvalidState):
        rig.client.pause(job.job_id)
    with pytest.raises(NotFound):
        rig.client.pause("nobody")
    with pytest.raises(NotFound):
        rig.client.resume("nobody")
    assert not rig.client.resume(job.job_id).was_paused
    assert rig.client.job(job.job_id) == job
