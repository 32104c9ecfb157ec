"""How jobs part with their files: which ones, in which order, and never more than a step at once."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from stoker_daemon.jobs.records import Files
from stoker_daemon.sqlite import pruning
from stoker_daemon.sqlite.migrating import open_database
from stoker_daemon.sqlite.writer import Transaction
from stoker_protocol.requests import ListOutputs

NOW_MS = 1_000_000
JOB = (
    "INSERT INTO jobs (job_id, fingerprint, client, name, engine, model, priority, state, params, metadata,"
    " on_interrupt, batch_size, max_attempts, appended_ms, total, pending, succeeded, created_ms, finished_ms,"
    " is_summed) VALUES"
    " (?, zeroblob(32), 'me', '', 'sprites', ?, 2, ?, x'80', x'80', 'requeue', 0, 3, 0, 1, ?, ?, 0, ?, ?)"
)
ARTIFACT = (
    "INSERT INTO artifacts (job_key, idx, output, run_id, path, media_type, sha256, bytes)"
    " VALUES (?, 0, ?, 'run', ?, 'image/png', ?, 10)"
)


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """A database of its own, in which an artifact needs no run."""
    with closing(open_database(tmp_path)) as connection:
        connection.execute("PRAGMA foreign_keys=OFF")
        yield connection


def add_job(
    connection: sqlite3.Connection, job_id: str, finished_ms: int | None, *, files: int = 2, is_summed: int = 1
) -> None:
    """A job with files of ten bytes; without a time it still waits."""
    state, pending = ("queued", 1) if finished_ms is None else ("succeeded", 0)
    values = (job_id, f"model-{job_id}", state, pending, 1 - pending, finished_ms, is_summed)
    job_key = connection.execute(JOB, values).lastrowid
    rows = [(job_key, output, f"{job_id}/{output}", "0" * 64) for output in range(files)]
    connection.executemany(ARTIFACT, rows)


def begin(connection: sqlite3.Connection, before_ms: int) -> str | None:
    """The job that begins to part with its files."""
    leaving = pruning.begin_leaving(Transaction(connection, NOW_MS, 0), before_ms)
    return leaving.job_id if leaving else None


def finish(connection: sqlite3.Connection) -> list[int]:
    """Remove all rows of the job that has begun; how many at each step."""
    transaction = Transaction(connection, NOW_MS, 0)
    leaving = pruning.begin_leaving(transaction, -1)
    assert leaving is not None
    steps: list[int] = []
    while some := pruning.forget_some_artifacts(transaction, leaving):
        steps.append(some.artifacts)
    return steps


def test_rows_go_in_steps(connection: sqlite3.Connection) -> None:
    """We expect no step to remove more than a thousand rows, and none of another job."""
    add_job(connection, "large", 1, files=2_500)
    add_job(connection, "other", 2)
    assert begin(connection, 1) == "large"
    assert finish(connection) == [1000, 1000, 500]
    assert connection.execute("SELECT count(*) FROM artifacts").fetchone() == (2,)
    assert begin(connection, 1) is None


def test_the_oldest_goes_first_and_what_was_begun_before_it(connection: sqlite3.Connection) -> None:
    """We expect jobs in the order in which they ended, a begun one first, and none young, waiting or not summed."""
    add_job(connection, "second", 20)
    add_job(connection, "first", 10)
    add_job(connection, "young", 31)
    add_job(connection, "waits", None)
    add_job(connection, "not summed", 5, is_summed=0)
    assert pruning.read_cleanable(connection, 30, 0) == (2, Files(4, 40), None)
    assert begin(connection, 30) == "first"
    assert begin(connection, 30) == "first"
    assert begin(connection, -1) == "first"
    finish(connection)
    assert begin(connection, 30) == "second"
    finish(connection)
    assert begin(connection, 30) is None


def test_sums_are_read_in_steps(connection: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """We expect reads that look at few rows each to add up to all of them."""
    monkeypatch.setattr(pruning, "SEEN_AT_ONCE", 3)
    for number in range(4):
        add_job(connection, str(number), number)
    seen: list[int] = []
    start: int | None = 0
    while start is not None:
        totals, start = pruning.read_totals(connection, start)
        seen.append(sum(files.artifacts for files in totals.values()))
    assert sum(seen) == 8
    assert max(seen) == 3
    jobs, files, rest = pruning.read_cleanable(connection, 9, 0)
    assert (jobs, files) == (2, Files(4, 40))
    assert rest is not None
    assert pruning.read_cleanable(connection, 9, rest)[:2] == (2, Files(4, 40))


def test_a_page_ends_early_where_jobs_have_many_files(
    connection: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """We expect pages, cut by rows looked at, that together name each job once, newest first."""
    monkeypatch.setattr(pruning, "SEEN_AT_ONCE", 3)
    for number in range(5):
        add_job(connection, str(number), number)
    add_job(connection, "empty", 9, files=0)
    pages: list[list[str]] = []
    cursor = ""
    while cursor or not pages:
        page, cursor = pruning.read_kept(connection, ListOutputs(id="1", cursor=cursor))
        pages.append([kept.job.job_id for kept in page])
    assert pages == [["4", "3"], ["2", "1"], ["0"]]
