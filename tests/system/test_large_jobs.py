"""What touches every item of a large job goes in small steps, and a killed daemon's successor brings it to its end."""

from collections.abc import Callable
from contextlib import closing
from threading import Thread

import pytest
from tests.fault.audit import connect
from tests.system.daemons import Rig
from tests.worker.processes import wait_for

from stoker_client import Client
from stoker_client.errors import DaemonUnavailable, InvalidState
from stoker_daemon.sqlite.sweeping import STEP
from stoker_protocol.events import JobCancelled, JobRetried
from stoker_protocol.jobs import ItemCounts, JobState
from stoker_protocol.requests import Retry

LARGE = 100_000
ALL_CANCELLED = ItemCounts(total=LARGE, cancelled=LARGE)


def test_large_job_is_cancelled_step_by_step(rig: Rig) -> None:
    """We expect a cancel to answer when all is dropped, with the total, and others to be answered meanwhile."""
    job_id = large_job(rig)
    seen: set[int] = set()
    cancelling = Thread(target=lambda: rig.client.cancel(job_id))
    with Client(rig.daemon.control) as other:
        cancelling.start()
        while cancelling.is_alive():
            other.ping()
            seen.add(counts(rig, job_id)[0])
        cancelling.join()
    job = rig.client.job(job_id)
    assert (job.state, job.items) == (JobState.CANCELLED, ALL_CANCELLED)
    assert len(seen) > 2
    assert {pending % STEP for pending in seen} == {0}
    events = rig.events(JobCancelled)
    assert [(e.job.state, e.dropped) for e in events] == [("cancelling", LARGE), ("cancelled", LARGE)]


def test_repeated_cancel_of_a_large_job(rig: Rig) -> None:
    """We expect a cancel that comes again to change nothing, while the first is at it and when it is done."""
    job_id = large_job(rig)
    first = Thread(target=lambda: rig.client.cancel(job_id))
    with Client(rig.daemon.control) as other:
        first.start()
        wait_for(lambda: other.job(job_id).state is not JobState.QUEUED)
        other.cancel(job_id)
        first.join()
        assert other.cancel(job_id).jobs[0].dropped == 0
    assert rig.client.job(job_id).items == ALL_CANCELLED
    assert len(rig.events(JobCancelled)) == 2


def test_cancel_cut_short_is_ended_by_the_next_daemon(rig: Rig) -> None:
    """We expect a cancel that kill -9 cuts short to be complete when the next daemon is ready."""
    job_id = large_job(rig)
    killed_while(rig, lambda client: client.cancel(job_id), lambda: 0 < counts(rig, job_id)[0] < LARGE)
    assert 0 < counts(rig, job_id)[0] < LARGE
    rig.restart()
    job = rig.client.job(job_id)
    assert (job.state, job.items) == (JobState.CANCELLED, ALL_CANCELLED)


def test_retry_cut_short_is_ended_by_the_next_daemon(rig: Rig) -> None:
    """We expect a retry that kill -9 cuts short to be complete when the next daemon is ready, and no step claimed."""
    rig.run("warm")
    job_id = large_job(rig)
    rig.client.cancel(job_id)
    rev = rig.client.job(job_id).rev
    rig.client.resume()
    killed_while(rig, lambda client: client.retry(job_id, ["cancelled"]), lambda: 0 < counts(rig, job_id)[0] < LARGE)
    assert 0 < counts(rig, job_id)[0] < LARGE
    assert rig.executed() == ["warm"]
    rig.restart()
    rig.wait_until(job_id, lambda job: job.items.succeeded)
    assert rig.client.job(job_id).items.cancelled == 0
    again = rig.ask(Retry(id="1", job_id=job_id, rev=rev))
    assert getattr(again, "requeued", None) == LARGE
    assert [event.requeued for event in rig.events(JobRetried)] == [LARGE, LARGE]
    rig.client.cancel(job_id)


def test_large_job_is_retried_step_by_step(rig: Rig) -> None:
    """We expect a retry to answer when all is back, a job that is held back to stay so, and a cancel to win."""
    job_id = large_job(rig)
    rig.client.cancel(job_id)
    assert rig.client.retry(job_id, ["cancelled"]).requeued == LARGE
    job = rig.client.job(job_id)
    assert (job.state.is_final, job.items) == (False, ItemCounts(total=LARGE, pending=LARGE))
    rig.client.pause(job_id)
    with pytest.raises(InvalidState):
        rig.client.retry(job_id, ["cancelled"])
    assert rig.client.cancel(job_id).jobs[0].dropped == LARGE
    assert rig.client.job(job_id).items == ALL_CANCELLED


def large_job(rig: Rig) -> str:
    """A job of many items that wait, since all work is held back."""
    rig.client.pause()
    job_id = rig.submit("0", more=True)
    for at in range(1, LARGE, 10_000):
        rig.client.append(job_id, at, [str(at + n) for n in range(min(10_000, LARGE - at))])
    rig.client.seal(job_id)
    return job_id


def counts(rig: Rig, job_id: str) -> tuple[int, int]:
    """How many items of a job wait, and how many are cancelled, as they are on disk."""
    with closing(connect(rig.data_dir)) as connection:
        return connection.execute("SELECT pending, cancelled FROM jobs WHERE job_id = ?", (job_id,)).fetchone()


def killed_while(rig: Rig, act: Callable[[Client], object], condition: Callable[[], bool]) -> None:
    """Kill the daemon as soon as the condition holds while a client acts."""

    def ask() -> None:
        with Client(rig.daemon.control, timeout_s=1.0) as client, pytest.raises(DaemonUnavailable):
            act(client)

    asking = Thread(target=ask)
    asking.start()
    while not condition():
        assert asking.is_alive(), "it was done before the kill"
    rig.kill()
    asking.join()
