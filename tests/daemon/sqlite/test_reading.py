"""Pages are bounded in rows and bytes, follow on from each other without a gap, and know their own cursors."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.daemon.sqlite.queues import START_MS, Queue

from stoker_daemon.sqlite import forgetting, reading
from stoker_protocol import codec
from stoker_protocol.errors import ErrorCode, Refused
from stoker_protocol.events import QueueResumed
from stoker_protocol.jobs import ItemState, JobState
from stoker_protocol.requests import EventsSince, GetSnapshot, ListArtifacts, ListItems, ListJobs

BLOB = 600 << 10
"""Bytes of one free-form value: eight of them are more than a page."""


@pytest.fixture
def queue(tmp_path: Path) -> Queue:
    """An empty queue."""
    return Queue(tmp_path)


def _pages(read: Callable[[str], tuple[list[Any], str]]) -> list[list[Any]]:
    """All pages, one after the other by their cursors."""
    pages: list[list[Any]] = []
    cursor = ""
    while True:
        page, cursor = read(cursor)
        pages.append(page)
        if not cursor:
            return pages


def _joined(pages: list[list[Any]]) -> list[Any]:
    """What all pages have."""
    return [one for page in pages for one in page]


def _jobs(queue: Queue, **options: Any) -> list[list[str]]:
    def read(cursor: str) -> tuple[list[str], str]:
        page = reading.read_jobs(queue.connection, ListJobs(id="1", cursor=cursor, **options))
        return [job.job_id for job in page.jobs], page.cursor

    return _pages(read)


def _items(queue: Queue, **options: Any) -> list[list[int]]:
    def read(cursor: str) -> tuple[list[int], str]:
        page = reading.read_items(queue.connection, ListItems(id="1", job_id="job", cursor=cursor, **options))
        return [item.index for item in page.items], page.cursor

    return _pages(read)


def _events(queue: Queue, topic: str = "", limit: int = 500) -> list[list[int]]:
    def read(cursor: str) -> tuple[list[int], str]:
        request = EventsSince(id="1", seq=int(cursor or 0), topic=topic, limit=limit)
        page = reading.read_events(queue.connection, request, "me")
        seqs = [codec.decode_event(event.body).seq or 0 for event in page.events]
        return seqs, "" if page.through == page.head else str(page.through)

    return _pages(read)


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 5, 100])
def test_pages_of_jobs(queue: Queue, limit: int) -> None:
    """We expect all jobs, newest first, in pages of the size asked for."""
    for n in range(5):
        queue.accept(f"job-{n}")
    pages = _jobs(queue, limit=limit)
    assert _joined(pages) == [f"job-{n}" for n in range(5)][::-1]
    assert max(map(len, pages)) == min(limit, 5)


def test_jobs_in_some_states(queue: Queue) -> None:
    """We expect a filter to leave out others, not to end the listing."""
    for n in range(6):
        queue.accept(f"job-{n}")
    for _ in range(3):
        run = queue.claim()
        assert run is not None
        queue.record(run)
    assert _joined(_jobs(queue, limit=2, states=(JobState.SUCCEEDED,))) == ["job-2", "job-1", "job-0"]
    assert _joined(_jobs(queue, limit=2, states=(JobState.QUEUED, JobState.FAILED))) == ["job-5", "job-4", "job-3"]


@pytest.mark.parametrize(
    ("called", "found"),
    [
        ("dra", ["dragon-7", "dragon"]),
        ("dragon", ["night", "dragon-7", "dragon"]),
        ("dragon-7", ["dragon-7"]),
        ("night", ["night"]),
        ("drago_", []),
        ("Dragon", []),
        ("nig%", []),
        ("zebra", []),
    ],
)
def test_jobs_called_so(queue: Queue, called: str, found: list[str]) -> None:
    """We expect the jobs whose ids begin so, as it is written, and those whose whole name it is, newest first."""
    for job_id, name in [("dragon", ""), ("other", "a dragon"), ("dragon-7", "other"), ("night", "dragon")]:
        queue.accept(job_id, name=name)
    assert _joined(_jobs(queue, limit=2, called=called)) == found
    assert _joined(_jobs(queue, limit=2, called=called, states=(JobState.FAILED,))) == []


def test_a_search_by_beginning_or_name_is_bounded(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    """We expect a search to look at no more than the beginning of the ids, and the newest names, but at an exact id."""
    monkeypatch.setattr(reading, "MAX_BEGINNING", 3)
    monkeypatch.setattr(reading, "MAX_NAMED", 2)
    for n in range(6):
        queue.accept(f"job-{5 - n}", name="many")
    assert _joined(_jobs(queue, limit=100, called="job-")) == ["job-0", "job-1", "job-2"]
    assert _joined(_jobs(queue, limit=100, called="many")) == ["job-0", "job-1"]
    assert _joined(_jobs(queue, limit=100, called="job-5")) == ["job-5"]


@pytest.mark.parametrize("limit", [1, 3, 7, 8])
def test_pages_of_items(queue: Queue, limit: int) -> None:
    """We expect all items in order, and those in some states."""
    queue.accept("job", 7)
    run = queue.claim(max_batch=3)
    assert run is not None
    assert _joined(_items(queue, limit=limit)) == [*range(7)]
    assert _joined(_items(queue, limit=limit, states=(ItemState.PENDING,))) == [3, 4, 5, 6]
    assert _joined(_items(queue, limit=limit, states=(ItemState.FAILED,))) == []


def test_pages_are_bounded_in_bytes(queue: Queue) -> None:
    """We expect a page to end with the value that fills it, and to be larger where the values are not asked for."""
    queue.accept("job", 20)
    queue.connection.execute("UPDATE items SET params = ?", (bytes(codec.pack({"x": "y" * BLOB})),))
    pages = _items(queue, limit=1000, with_params=True)
    assert [len(page) for page in pages] == [7, 7, 6]
    assert _items(queue, limit=1000) == [[*range(20)]]
    for n in range(10):
        queue.accept(f"fat-{n}", metadata=codec.pack({"x": "y" * BLOB}))
    assert [len(page) for page in _jobs(queue, limit=1000)] == [7, 4]
    first = reading.read_snapshot(queue.connection, GetSnapshot(id="1", limit=1000))
    second = reading.read_snapshot(queue.connection, GetSnapshot(id="1", limit=1000, cursor=first.cursor))
    assert [job.job_id for job in first.jobs + second.jobs] == ["job", *(f"fat-{n}" for n in range(10))]
    assert (len(first.jobs), second.cursor) == (8, "")


@pytest.mark.parametrize("limit", [1, 2, 100])
def test_jobs_that_ended_since(queue: Queue, limit: int) -> None:
    """We expect jobs that go on and those that ended at a time or later, in their order and over pages; else none."""
    for job_id in ("before", "goes-on", "then", "later"):
        queue.accept(job_id)
    for job_id, at_ms in (("before", 1000), ("then", 2000), ("later", 3000)):
        queue.connection.execute(
            "UPDATE jobs SET finished_ms = ?, pending = 0, succeeded = 1, state = 'succeeded' WHERE job_id = ?",
            (START_MS + at_ms, job_id),
        )

    def seen(since_ms: int | None, **more: Any) -> list[str]:
        found: list[str] = []
        cursor = ""
        while True:
            asked = GetSnapshot(id="1", ended_since_ms=since_ms, limit=limit, cursor=cursor, **more)
            page = reading.read_snapshot(queue.connection, asked)
            found += [job.job_id for job in page.jobs]
            cursor = page.cursor
            if not cursor:
                return found

    assert seen(START_MS + 2000) == ["goes-on", "then", "later"]
    assert seen(None) == ["goes-on"]
    assert seen(START_MS + 2000, include_final=True) == ["before", "goes-on", "then", "later"]
    assert seen(START_MS + 2000, job_ids=["before"]) == ["before"]


def test_events_are_bounded_in_bytes(queue: Queue) -> None:
    """We expect pages of events to end early where bodies are large, and to go on where they ended."""
    for n in range(20):
        queue.accept(f"job-{n}", name="x" * 200)
    queue.connection.execute("UPDATE events SET body = CAST(body || zeroblob(?) AS BLOB)", (BLOB,))
    request = EventsSince(id="1", seq=0)
    page = reading.read_events(queue.connection, request, "me")
    assert (len(page.events), page.through, page.head) == (7, 7, 20)


@pytest.mark.parametrize("limit", [1, 2, 5, 100])
@pytest.mark.parametrize(
    ("topic", "expected"),
    [
        ("", [*range(1, 10)]),
        ("job/", [*range(1, 10)]),
        ("job/a/", [1, 4, 5]),
        ("job/b/run", [6, 7]),
        ("job/c/run_finished", [9]),
        ("lane/", []),
        ("job/z/", []),
    ],
)
def test_events_by_topic(queue: Queue, topic: str, expected: list[int], limit: int) -> None:
    """We expect the events whose topic begins so, all of them and in order, whatever the page."""
    for job in "abc":
        queue.accept(job)
    for _ in "abc":
        run = queue.claim()
        assert run is not None
        queue.record(run)
    assert _joined(_events(queue, topic, limit)) == expected


def test_gap_in_the_log(queue: Queue) -> None:
    """We expect who asks for events that were removed to be told so, and nobody else, even if none is left."""
    for n in range(5):
        queue.accept(f"job-{n}")

    def has_gap(seq: int) -> bool:
        return reading.read_events(queue.connection, EventsSince(id="1", seq=seq), "me").gap

    assert not has_gap(0)
    queue.connection.execute("DELETE FROM events WHERE seq <= 3")
    assert [has_gap(seq) for seq in range(6)] == [True, True, True, False, False, False]
    queue.write(lambda tx: forgetting.forget_some_events(tx, queue.clock.ms))
    assert [has_gap(seq) for seq in range(6)] == [True] * 5 + [False]
    assert reading.read_events(queue.connection, EventsSince(id="1", seq=5), "me").head == 5


def test_a_bounded_log(queue: Queue) -> None:
    """We expect the newest events alone to stay, a thousand of the others to go at a time, and seqs to go on."""
    for n in range(5):
        queue.accept(f"job-{n}")
    assert [queue.write(lambda tx: forgetting.forget_events_beyond(tx, 2)) for _ in "ab"] == [3, 0]
    assert queue.connection.execute("SELECT min(seq), max(seq) FROM events").fetchone() == (4, 5)
    queue.write(lambda tx: [tx.tell("queue/", QueueResumed(author="tests")) for _ in range(2500)])
    assert [queue.write(lambda tx: forgetting.forget_events_beyond(tx, 5)) for _ in "abcd"] == [1000, 1000, 497, 0]
    queue.accept("another")
    assert queue.connection.execute("SELECT min(seq), max(seq) FROM events").fetchone() == (2501, 2506)


def test_prev_of_what_is_removed(queue: Queue) -> None:
    """We expect an event whose predecessor is gone to name the last that is gone: who has less knows of a hole."""
    queue.accept("job")
    queue.accept("other")
    queue.write(lambda tx: forgetting.forget_events_beyond(tx, 1))
    queue.claim()
    event = codec.decode_event(queue.connection.execute("SELECT body FROM events WHERE seq = 3").fetchone()[0])
    assert (event.seq, event.prev) == (3, 1)


@pytest.mark.parametrize("cursor", ["x", "-1", "1e3", " 1", "1 ", "9" * 19, "²", "0x1", "1.x", "x.1"])
def test_bad_cursor(queue: Queue, cursor: str) -> None:
    """We expect a cursor that is none of ours to be refused by name, and not to reach the database."""
    queue.accept("job")
    asks: list[Callable[[], object]] = [
        lambda: reading.read_jobs(queue.connection, ListJobs(id="1", cursor=cursor)),
        lambda: reading.read_items(queue.connection, ListItems(id="1", job_id="job", cursor=cursor)),
        lambda: reading.read_artifacts(queue.connection, ListArtifacts(id="1", job_id="job", cursor=cursor)),
        lambda: reading.read_snapshot(queue.connection, GetSnapshot(id="1", cursor=cursor)),
    ]
    for ask in asks:
        with pytest.raises(Refused) as refused:
            ask()
        assert (refused.value.code, refused.value.field) == (ErrorCode.BAD_REQUEST, "cursor")


def test_pages_of_artifacts(queue: Queue) -> None:
    """We expect artifacts in the order of items and outputs, in pages that may end within an item."""
    queue.accept("job", 3)
    run = queue.claim(max_batch=3)
    assert run is not None
    queue.record(run)
    queue.connection.executescript(
        "INSERT INTO artifacts (job_key, idx, output, run_id, path, media_type, sha256, bytes)"
        " SELECT job_key, idx, 1, run_id, path || '.second', media_type, sha256, bytes FROM artifacts"
    )

    def read(cursor: str) -> tuple[list[tuple[int, int]], str]:
        page = reading.read_artifacts(queue.connection, ListArtifacts(id="1", job_id="job", limit=4, cursor=cursor))
        return [(artifact.index, artifact.output) for artifact in page.artifacts], page.cursor

    assert _pages(read) == [[(0, 0), (0, 1), (1, 0), (1, 1)], [(2, 0), (2, 1)]]
