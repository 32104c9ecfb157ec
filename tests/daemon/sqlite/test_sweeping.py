"""A cancel or retry in several steps ends as one in a single step would, whatever comes in between."""

from pathlib import Path

import pytest
from tests.daemon.sqlite.queues import Queue

from stoker_daemon.jobs.records import Result
from stoker_daemon.sqlite import sweeping
from stoker_daemon.sqlite.rows import job_key_of, read_job
from stoker_protocol import codec
from stoker_protocol.events import JobCancelled
from stoker_protocol.jobs import Failure, ItemCounts, ItemState, Job, JobState
from stoker_protocol.replies import CancelledJob
from stoker_protocol.requests import Retry


@pytest.fixture
def queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Queue:
    """A queue where three items are a step."""
    monkeypatch.setattr(sweeping, "STEP", 3)
    return Queue(tmp_path)


def _job(queue: Queue) -> Job:
    return read_job(queue.connection.execute, job_key_of(queue.connection.execute, "large"))


def _cancel(queue: Queue, *job_ids: str) -> list[tuple[CancelledJob, int | None]]:
    keys = [job_key_of(queue.connection.execute, job_id) for job_id in job_ids or ("large",)]
    return queue.write(lambda tx: sweeping.cancel(tx, keys, None, "tests"))


def _sweep(queue: Queue, start: int) -> int | None:
    key = job_key_of(queue.connection.execute, "large")
    return queue.write(lambda tx: sweeping.sweep(tx, key, start, "tests"))


def _cancel_whole(queue: Queue) -> None:
    _cancel(queue)
    start: int | None = 0
    while start is not None:
        start = _sweep(queue, start)


def _told(queue: Queue) -> list[JobState]:
    bodies = queue.all("SELECT body FROM events ORDER BY seq")
    events = [codec.decode_event(body) for (body,) in bodies]
    return [event.job.state for event in events if isinstance(event, JobCancelled)]


def test_steps_of_a_cancel(queue: Queue) -> None:
    """We expect nothing to be claimed from the first commit on, and the end to be told with the last item."""
    queue.accept("large", 7)
    ((reply, unfinished),) = _cancel(queue)
    assert (reply.dropped, reply.state) == (7, JobState.CANCELLING)
    assert unfinished is not None
    assert queue.claim() is None
    assert [_sweep(queue, start) for start in (0, 3, 6)] == [3, 6, None]
    assert (_job(queue).state, _job(queue).items) == (JobState.CANCELLED, ItemCounts(total=7, cancelled=7))
    assert _told(queue) == [JobState.CANCELLING, JobState.CANCELLED]


def test_cancel_that_ends_before_its_last_step(queue: Queue) -> None:
    """We expect the end to be told when nothing waits any more, though items are left to look at."""
    queue.accept("large", 7)
    run = queue.claim(max_batch=7)
    assert run is not None
    again = Result(0, ItemState.PENDING, Failure("timeout", ""), delay_s=60)
    queue.record(run, again, *(Result(position, ItemState.SKIPPED) for position in range(1, 7)))
    _cancel(queue)
    assert _sweep(queue, 0) is None
    assert _job(queue).state is JobState.CANCELLED
    assert _told(queue) == [JobState.CANCELLING, JobState.CANCELLED]


def test_cancel_that_comes_again_while_there_is_room(queue: Queue) -> None:
    """We expect a job that a second cancel drops as a whole to be told as cancelled, though the first had begun."""
    queue.accept("other", 2)
    queue.accept("large", 2)
    (_, (_, unfinished)) = _cancel(queue, "other", "large")
    assert unfinished is not None
    assert _cancel(queue)[0][1] is None
    assert _sweep(queue, 0) is None
    assert _told(queue)[1:] == [JobState.CANCELLING, JobState.CANCELLED]


def test_cancel_in_the_middle_of_a_retry(queue: Queue) -> None:
    """We expect the items that a retry had sent back already to be dropped too, by whoever was at it."""
    queue.accept("large", 8)
    _cancel_whole(queue)
    request = Retry(id="1", job_id="large", rev=_job(queue).rev, states=(ItemState.CANCELLED,))
    queue.write(lambda tx: sweeping.retry(tx, request, "tests"))
    assert _sweep(queue, 0) == 3
    assert _job(queue).items.pending == 3
    _cancel(queue)
    assert [_sweep(queue, start) for start in (3, 6)] == [6, 0]
    assert queue.claim() is None
    assert _sweep(queue, 0) is None
    assert (_job(queue).state, _job(queue).items.pending) == (JobState.CANCELLED, 0)
