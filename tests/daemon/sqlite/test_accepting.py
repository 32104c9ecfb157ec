"""Jobs come in one by one or many at once, each whole and each once."""

from pathlib import Path

import pytest
from tests.daemon.sqlite.queues import NO_LIMIT, Queue, a_submission

from stoker_daemon.sqlite import accepting, reading
from stoker_daemon.sqlite.accepting import Submission
from stoker_daemon.sqlite.inserting import insert
from stoker_protocol import codec
from stoker_protocol.errors import ErrorCode, Refused
from stoker_protocol.events import JobSubmitted


def accept(queue: Queue, *submissions: Submission, room: int = NO_LIMIT) -> list[JobSubmitted]:
    """Take these in with one call; the events that tell of it."""
    queue.write(lambda tx: accepting.accept(tx, submissions, room))
    assert queue.last is not None
    events = [codec.decode_event(event.body) for event in queue.last.events]
    assert all(isinstance(event, JobSubmitted) for event in events)
    return events  # pyright: ignore[reportReturnType]  # as just asserted


def stored(queue: Queue) -> list[tuple[str, int, int]]:
    """Each job, in their order: its id, how many items it has, and how many of them its lot says are ready."""
    return queue.connection.execute(
        "SELECT job_id, (SELECT count(*) FROM items WHERE items.job_key = jobs.job_key), ready"
        " FROM jobs JOIN lots USING (job_key) ORDER BY job_key"
    ).fetchall()


def test_many_at_once(tmp_path: Path) -> None:
    """We expect jobs of all sizes that come together to be stored whole, in their order, each with its own event."""
    queue = Queue(tmp_path)
    wanted = [(f"job-{number}", number % 50 + 1) for number in range(75)]
    events = accept(queue, *(a_submission(job_id, count, model=str(count % 3)) for job_id, count in wanted))
    assert stored(queue) == [(job_id, count, count) for job_id, count in wanted]
    assert [(event.job.job_id, event.job.items.pending) for event in events] == wanted
    assert [(event.seq, event.prev) for event in events] == [(seq, 0) for seq in range(1, 76)]
    total = sum(count for _, count in wanted)
    assert queue.connection.execute("SELECT pending, active_jobs FROM totals").fetchone() == (total, 75)
    assert queue.connection.execute("SELECT sum(ready), count(*) FROM heads").fetchone() == (total, 3)


def test_numbers_are_given_once(tmp_path: Path) -> None:
    """We expect no key and no seq to be given again when jobs and events that had them were removed."""
    queue = Queue(tmp_path)
    accept(queue, a_submission("a"), a_submission("b"))
    for table in ("lots", "items", "jobs", "events"):
        queue.connection.execute(f"DELETE FROM {table}")
    assert reading.head_seq(queue.connection) == 2
    queue.accept("c")
    assert queue.connection.execute("SELECT job_key FROM jobs").fetchall() == [(3,)]


def test_event_tells_the_job_as_it_is_read(tmp_path: Path) -> None:
    """We expect the event to have the very job that a reader of the database is given."""
    queue = Queue(tmp_path)
    rich = a_submission("rich", 2, name="n", more=True, metadata=codec.pack({"a": 1}), priority="high")
    for submission in (a_submission("plain"), a_submission("empty", metadata=codec.pack({})), rich):
        (event,) = accept(queue, submission)
        read = reading.read_one_job(queue.connection, submission.request.job_id)
        assert codec.encode(event.job) == codec.encode(read.job)


def test_repeated_within_a_call(tmp_path: Path) -> None:
    """We expect a job that is sent twice at once, or again later beside a new one, to be stored once."""
    queue = Queue(tmp_path)
    assert len(accept(queue, a_submission("a"), a_submission("a"))) == 1
    assert [event.job.job_id for event in accept(queue, a_submission("a"), a_submission("b"))] == ["b"]
    assert stored(queue) == [("a", 1, 1), ("b", 1, 1)]


def test_two_of_one_id_within_a_call(tmp_path: Path) -> None:
    """We expect two jobs of one id in a call to be a conflict, and nothing of it to be stored."""
    queue = Queue(tmp_path)
    with pytest.raises(Refused) as refused:
        accept(queue, a_submission("b"), a_submission("a"), a_submission("a", 2))
    assert (refused.value.code, refused.value.field) == (ErrorCode.CONFLICT, "job_id")
    assert stored(queue) == []


def test_together_too_many(tmp_path: Path) -> None:
    """We expect jobs that fit alone but not together to be refused together, as those of a full queue."""
    queue = Queue(tmp_path)
    with pytest.raises(Refused) as refused:
        accept(queue, a_submission("a", 3), a_submission("b", 3), room=5)
    assert refused.value.code is ErrorCode.QUEUE_FULL
    assert len(accept(queue, a_submission("a", 3), room=5)) == 1


@pytest.mark.parametrize("number", [0, 1, 8, 9, 32, 33, 75])
def test_insert_any_number(tmp_path: Path, number: int) -> None:
    """We expect any number of rows to be inserted in their order, whatever fits into a statement."""
    queue = Queue(tmp_path)
    rows = [(f"key-{row}", str(row)) for row in range(number)]
    insert(queue.connection.execute, "meta", "key, value", iter(rows))
    kept = queue.connection.execute("SELECT key, value FROM meta WHERE key LIKE 'key-%' ORDER BY rowid").fetchall()
    assert kept == rows
