"""What the files of jobs amount to, and how jobs part with theirs: first marked, and at last without rows."""

import sqlite3

from stoker_daemon.jobs.records import Files, KeptFiles, Leaving
from stoker_daemon.sqlite.reading import files_of, row_of
from stoker_daemon.sqlite.rows import JOB_COLUMNS, job_key_of, to_job
from stoker_daemon.sqlite.writer import Transaction
from stoker_protocol.errors import ErrorCode, Refused
from stoker_protocol.requests import ListOutputs

ROWS_AT_ONCE = 1_000
"""Rows removed in one transaction."""
SEEN_AT_ONCE = 50_000
"""Rows looked at in one read, so that other reads need not wait long."""
JOBS_AT_ONCE = 1_000

Kind = tuple[str, str, str]
"""Engine, model and media type."""

_OLD = "finished_ms <= ? AND outputs = 'kept' AND is_summed = 1 AND retrying IS NULL"


def read_kept(connection: sqlite3.Connection, request: ListOutputs) -> tuple[list[KeptFiles], str]:
    """A page of jobs that have files, newest first, and its cursor; it ends early where jobs have very many."""
    only = "" if request.job_id is None else f" AND job_key = {job_key_of(connection.execute, request.job_id)}"
    rows = connection.execute(
        f"SELECT {JOB_COLUMNS}, job_key FROM jobs WHERE job_key < ?{only}"
        " AND EXISTS (SELECT 1 FROM artifacts WHERE artifacts.job_key = jobs.job_key) ORDER BY job_key DESC",
        (row_of(request.cursor, default=1 << 62),),
    )
    page: list[KeptFiles] = []
    seen = 0
    for row in rows:
        files = files_of(connection, row[-1])
        page.append(KeptFiles(to_job(row[:-1], with_metadata=False), files))
        seen += files.artifacts
        if len(page) == request.limit or seen >= SEEN_AT_ONCE:
            return page, str(row[-1])
    return page, ""


def read_totals(connection: sqlite3.Connection, start: int) -> tuple[dict[Kind, Files], int | None]:
    """What the artifacts from a row on amount to, as far as one read goes, and where the next one begins."""
    end = start + SEEN_AT_ONCE
    rows = connection.execute(
        "SELECT engine, model, media_type, count(*), sum(bytes) FROM artifacts JOIN jobs USING (job_key)"
        " WHERE artifact_id >= ? AND artifact_id < ? GROUP BY engine, model, media_type",
        (start, end),
    )
    totals = {(engine, model, media_type): Files(*files) for engine, model, media_type, *files in rows}
    (last,) = connection.execute("SELECT coalesce(max(artifact_id), 0) FROM artifacts").fetchone()
    return totals, end if end <= last else None


def read_cleanable(connection: sqlite3.Connection, before_ms: int, start: int) -> tuple[int, Files, int | None]:
    """How many jobs from a row on `begin_leaving` would choose, what they have, and where the next read begins."""
    rows = connection.execute(
        f"SELECT job_key FROM jobs WHERE {_OLD} AND job_key >= ? ORDER BY job_key LIMIT ?",
        (before_ms, start, JOBS_AT_ONCE),
    )
    jobs, files = 0, Files()
    for (job_key,) in rows:
        jobs += 1
        files += files_of(connection, job_key)
        if jobs == JOBS_AT_ONCE or files.artifacts >= SEEN_AT_ONCE:
            return jobs, files, job_key + 1
    return jobs, files, None


def begin_leaving(transaction: Transaction, before_ms: int) -> Leaving | None:
    """The job that was begun with, or else the one that ended first and until then: it is begun with now."""
    columns = "SELECT job_id, created_ms, job_key FROM jobs"
    row = transaction.execute(f"{columns} WHERE outputs = 'leaving' ORDER BY job_key LIMIT 1").fetchone()
    if row is None:
        row = transaction.execute(f"{columns} WHERE {_OLD} ORDER BY finished_ms LIMIT 1", (before_ms,)).fetchone()
    if row is None:
        return None
    leaving = Leaving(*row)
    transaction.execute("UPDATE jobs SET outputs = 'leaving' WHERE job_key = ?", (leaving.job_key,))
    return leaving


def forget_some_artifacts(transaction: Transaction, leaving: Leaving) -> Files | None:
    """Remove rows of a job whose files are gone; None: there were none left, and the job has parted with its files."""
    rows = transaction.execute(
        "DELETE FROM artifacts WHERE artifact_id IN (SELECT artifact_id FROM artifacts WHERE job_key = ? LIMIT ?)"
        " RETURNING bytes",
        (leaving.job_key, ROWS_AT_ONCE),
    ).fetchall()
    if rows:
        return Files(len(rows), sum(size for (size,) in rows))
    transaction.execute(
        "UPDATE jobs SET outputs = 'removed' WHERE job_key = ? AND outputs = 'leaving'", (leaving.job_key,)
    )
    return None


def keep_again(transaction: Transaction, job_id: str) -> None:
    """A job is to make files once more.

    Raises:
        Refused: `invalid_state`: its files are just being removed; `not_found`: so is the job.
    """
    if transaction.execute("SELECT 1 FROM tombstones WHERE job_id = ?", (job_id,)).fetchone():
        raise Refused(
            ErrorCode.NOT_FOUND, f"job {job_id} is old and just being removed", field="job_id", hint="submit a new job"
        )
    row = transaction.execute("SELECT outputs FROM jobs WHERE job_id = ?", (job_id,)).fetchone()
    if row == ("leaving",):
        raise Refused(
            ErrorCode.INVALID_STATE,
            f"the files of job {job_id} are just being removed",
            field="job_id",
            hint="`stoker outputs clean` brings that to its end; or submit the items as a new job",
        )
    transaction.execute("UPDATE jobs SET outputs = 'kept' WHERE job_id = ? AND outputs = 'removed'", (job_id,))
