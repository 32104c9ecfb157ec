"""Pages of what is stored, each a bounded number of rows and bytes."""

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

from msgspec import Raw

from stoker_daemon.jobs.records import Files, JobFolder
from stoker_daemon.ports import StoredSnapshot
from stoker_daemon.sqlite.rows import (
    ARTIFACT_COLUMNS,
    ITEM_COLUMNS,
    JOB_COLUMNS,
    PRIORITIES,
    head_seq,
    job_key_of,
    read_job,
    to_artifact,
    to_item,
    to_job,
    to_pause,
)
from stoker_protocol.errors import ErrorCode, Refused
from stoker_protocol.jobs import Artifact, Item, Priority, Queue
from stoker_protocol.replies import ArtifactsPage, EventsPage, ItemsPage, JobReply, JobsPage, PublishedEvent
from stoker_protocol.requests import EventsSince, GetSnapshot, ListArtifacts, ListItems, ListJobs

PAGE_BYTES = 4 << 20
"""A page ends before its free-form values or event bodies exceed this, so that a reply always fits its limit."""

MAX_LISTED = 10_000
"""Items in the summary of a job; whoever has more asks `items` for pages of them."""

MAX_BEGINNING = 1_000
"""Jobs whose ids have the same beginning that are found by it; who means one of more has to say more of its id."""
MAX_NAMED = 10_000
"""The newest jobs, which are those that are looked for by name: names have no index."""
_CALLED = """
    AND job_key IN (
        SELECT * FROM (SELECT job_key FROM jobs WHERE job_id >= ? AND job_id < ? || char(1114111) LIMIT ?)
        UNION SELECT job_key FROM jobs WHERE name = ? AND job_key > (SELECT max(job_key) FROM jobs) - ?
    )
"""

Rows = list[tuple[Any, ...]]


def read_one_job(connection: sqlite3.Connection, job_id: str) -> JobReply:
    """A job as of the last event. Raises Refused: `not_found`."""
    job_key = job_key_of(connection.execute, job_id)
    return JobReply(job=read_job(connection.execute, job_key, with_metadata=True), seq=head_seq(connection))


def read_jobs(connection: sqlite3.Connection, request: ListJobs) -> JobsPage:
    """A page of jobs, newest first; the cursor is the last one's row."""
    states = [state.value for state in request.states]
    called = (request.called, request.called, MAX_BEGINNING, request.called, MAX_NAMED) if request.called else ()
    rows = connection.execute(
        f"SELECT {JOB_COLUMNS}, job_key FROM jobs WHERE job_key < ?{_among('state', states)}{_CALLED if called else ''}"
        " ORDER BY job_key DESC LIMIT ?",
        (row_of(request.cursor, default=1 << 62), *states, *called, request.limit),
    )
    page, cursor = _page(rows, request.limit, size_at=-2)
    return JobsPage(jobs=[to_job(row[:-1]) for row in page], cursor=cursor)


def read_items(connection: sqlite3.Connection, request: ListItems) -> ItemsPage:
    """A page of a job's items with their artifacts; the cursor is the last one's index."""
    job_key = job_key_of(connection.execute, request.job_id)
    states = [state.value for state in request.states]
    rows = connection.execute(
        f"SELECT {ITEM_COLUMNS}, idx FROM items WHERE job_key = ? AND idx > ?{_among('state', states)}"
        " ORDER BY idx LIMIT ?",
        (job_key, row_of(request.cursor, default=-1), *states, request.limit),
    )
    page, cursor = _page(rows, request.limit, size_at=-2 if request.with_params else None)
    artifacts = _artifacts_of(connection, job_key, page)
    items = [to_item(row[:-1], artifacts[row[-1]], with_params=request.with_params) for row in page]
    return ItemsPage(items=items, cursor=cursor)


def read_artifacts(connection: sqlite3.Connection, request: ListArtifacts) -> ArtifactsPage:
    """A page of a job's artifacts in item order; the cursor is the last one's index and output."""
    job_key = job_key_of(connection.execute, request.job_id)
    index, _, output = request.cursor.partition(".")
    rows = connection.execute(
        f"SELECT {ARTIFACT_COLUMNS}, idx || '.' || output FROM artifacts WHERE job_key = ? AND (idx, output) > (?, ?)"
        " ORDER BY idx, output LIMIT ?",
        (job_key, row_of(index, default=-1), row_of(output, default=-1), request.limit),
    )
    page, cursor = _page(rows, request.limit)
    return ArtifactsPage(artifacts=[to_artifact(row[:-1]) for row in page], cursor=cursor)


def read_artifact(connection: sqlite3.Connection, artifact_id: int) -> Artifact:
    """One artifact. Raises Refused: `not_found`."""
    row = connection.execute(
        f"SELECT {ARTIFACT_COLUMNS} FROM artifacts WHERE artifact_id = ?", (artifact_id,)
    ).fetchone()
    if row is None:
        hint = "`artifacts` lists those of a job; of an old job they may have been removed with `stoker outputs clean`"
        raise Refused(ErrorCode.NOT_FOUND, f"there is no artifact {artifact_id}", field="artifact_id", hint=hint)
    return to_artifact(row)


def read_snapshot(connection: sqlite3.Connection, request: GetSnapshot) -> StoredSnapshot:
    """The queue and a page of jobs, oldest first; a named job that is not there is left out."""
    wanted, since_ms = "", request.ended_since_ms
    if not request.include_final and not request.job_ids:
        wanted = " AND finished_ms IS NULL" if since_ms is None else " AND ifnull(finished_ms >= ?, 1)"
    times = [since_ms] if "?" in wanted else []
    job_ids = request.job_ids or []
    rows = connection.execute(
        f"SELECT {JOB_COLUMNS}, job_key FROM jobs WHERE job_key > ?{wanted}{_among('job_id', job_ids)}"
        " ORDER BY job_key LIMIT ?",
        (row_of(request.cursor, default=0), *times, *job_ids, request.limit),
    )
    page, cursor = _page(rows, request.limit, size_at=-2)
    return StoredSnapshot(head_seq(connection), read_queue(connection), [to_job(row[:-1]) for row in page], cursor)


def read_events(connection: sqlite3.Connection, request: EventsSince, instance_id: str) -> EventsPage:
    """Events after a seq. `gap`: some of those were removed from the log."""
    head = head_seq(connection)
    (oldest,) = connection.execute("SELECT coalesce(min(seq), ?) FROM events", (head + 1,)).fetchone()
    if request.seq < oldest - 1:
        return EventsPage(events=[], through=request.seq, head=head, instance_id=instance_id, gap=True)
    rows = connection.execute(*_events_query(request))
    page, cursor = _page(rows, request.limit, size_at=1)
    events = [PublishedEvent(topic, Raw(body)) for topic, body, _ in page]
    return EventsPage(events=events, through=int(cursor) if cursor else head, head=head, instance_id=instance_id)


def read_ready(connection: sqlite3.Connection) -> dict[Priority, int]:
    """How many items of each priority could run now."""
    rows = connection.execute("SELECT priority, sum(ready) FROM heads GROUP BY priority")
    return {PRIORITIES[rank]: ready for rank, ready in rows}


def read_next_due_ms(connection: sqlite3.Connection) -> int | None:
    """When the first back-off ends."""
    (due_ms,) = connection.execute("SELECT min(not_before_ms) FROM items WHERE not_before_ms IS NOT NULL").fetchone()
    return due_ms


def read_kept_text(connection: sqlite3.Connection, key: str) -> str | None:
    """What is kept under a key."""
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return row and row[0]


def read_unsummed(connection: sqlite3.Connection, limit: int) -> list[JobFolder]:
    """Final jobs whose summary is still to be written."""
    rows = connection.execute(
        "SELECT job_key FROM jobs WHERE finished_ms IS NOT NULL AND is_summed = 0 ORDER BY job_key LIMIT ?", (limit,)
    ).fetchall()
    folders: list[JobFolder] = []
    for (job_key,) in rows:
        job = read_job(connection.execute, job_key, with_metadata=True)
        (params,) = connection.execute("SELECT params FROM jobs WHERE job_key = ?", (job_key,)).fetchone()
        folders.append(JobFolder(job, Raw(params), _first_items(connection, job_key), files_of(connection, job_key)))
    return folders


def files_of(connection: sqlite3.Connection, job_key: int) -> Files:
    """What the artifacts of a job amount to."""
    query = "SELECT count(*), coalesce(sum(bytes), 0) FROM artifacts WHERE job_key = ?"
    return Files(*connection.execute(query, (job_key,)).fetchone())


def _first_items(connection: sqlite3.Connection, job_key: int) -> tuple[Item, ...]:
    """The items that a summary lists."""
    rows = connection.execute(
        f"SELECT {ITEM_COLUMNS}, idx FROM items WHERE job_key = ? ORDER BY idx LIMIT ?", (job_key, MAX_LISTED)
    )
    page, _ = _page(rows, MAX_LISTED, size_at=-2)
    artifacts = _artifacts_of(connection, job_key, page)
    return tuple(to_item(row[:-1], artifacts[row[-1]], with_params=True) for row in page)


def _events_query(request: EventsSince) -> tuple[str, tuple[Any, ...]]:
    """Whole threads have an index; other prefixes are looked for along the seq."""
    if request.topic.endswith("/") and request.topic.count("/") > 1:
        where, terms = "thread = ? AND seq > ?", (request.topic, request.seq)
    else:
        where, terms = "seq > ? AND substr(topic, 1, ?) = ?", (request.seq, len(request.topic), request.topic)
    return f"SELECT topic, body, seq FROM events WHERE {where} ORDER BY seq LIMIT ?", (*terms, request.limit)


def read_queue(connection: sqlite3.Connection) -> Queue:
    """All that waits and runs, and whether it is held back."""
    pending, running, jobs = connection.execute("SELECT pending, running, active_jobs FROM totals").fetchone()
    paused = to_pause(connection.execute("SELECT reason, author, at_ms FROM queue_pause").fetchone())
    return Queue(pending, running, jobs, paused)


def _artifacts_of(connection: sqlite3.Connection, job_key: int, items: Rows) -> defaultdict[int, list[Artifact]]:
    by_index: defaultdict[int, list[Artifact]] = defaultdict(list)
    if items:
        rows = connection.execute(
            f"SELECT {ARTIFACT_COLUMNS} FROM artifacts WHERE job_key = ? AND idx BETWEEN ? AND ? ORDER BY idx, output",
            (job_key, items[0][-1], items[-1][-1]),
        )
        for artifact in map(to_artifact, rows):
            by_index[artifact.index].append(artifact)
    return by_index


def _page(rows: Iterable[tuple[Any, ...]], limit: int, size_at: int | None = None) -> tuple[Rows, str]:
    """A page of rows, and as its cursor the last column of the last row, or nothing after the last page.

    `size_at` is the column whose bytes count.
    """
    page = list(_within(rows, size_at))
    is_cut = len(page) == limit or (size_at is not None and _bytes(page, size_at) >= PAGE_BYTES)
    return page, str(page[-1][-1]) if page and is_cut else ""


def _within(rows: Iterable[tuple[Any, ...]], size_at: int | None) -> Iterator[tuple[Any, ...]]:
    total = 0
    for row in rows:
        yield row
        total += len(row[size_at]) if size_at is not None else 0
        if total >= PAGE_BYTES:
            return


def _bytes(page: Rows, size_at: int) -> int:
    return sum(len(row[size_at]) for row in page)


def _among(column: str, values: list[str]) -> str:
    return f" AND {column} IN ({', '.join('?' * len(values))})" if values else ""


def row_of(cursor: str, *, default: int) -> int:
    """The row that a cursor names.

    Raises:
        Refused: `bad_request`: not one of our cursors.
    """
    if not cursor:
        return default
    if not cursor.isascii() or not cursor.isdigit() or len(cursor) > 18:
        raise Refused(
            ErrorCode.BAD_REQUEST, f"cursor: {cursor!r} is none of ours", field="cursor", hint="the last page's cursor"
        )
    return int(cursor)
