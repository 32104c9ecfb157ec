"""Finds where the database does not agree with itself, without changing it, also while a daemon works with it."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import NamedTuple

from stoker_daemon.sqlite.database import FILE_NAME, refuse_strangers
from stoker_daemon.sqlite.migrating import newest_schema
from stoker_protocol.replies import Finding

RESTORE = "stop stokerd and restore a backup: stokerd restore FILE"
REPORT = "work goes on, but please report this with the output of `stokerd check`"

_HEADS = "SELECT signature_id, priority, client, ready, oldest FROM heads"
_LOTS = (
    "SELECT signature_id, priority, client, sum(offered), min(place) FROM lots WHERE offered > 0"
    " GROUP BY signature_id, priority, client"
)
_DISAGREEMENTS = {
    "job counts": (
        "jobs whose counts are not those of their items",
        "SELECT job_id FROM jobs LEFT JOIN (SELECT job_key, count(*) AS total, sum(state = 'pending') AS pending,"
        " sum(state = 'running') AS running, sum(state = 'succeeded') AS succeeded, sum(state = 'failed') AS failed"
        " FROM items GROUP BY job_key) AS counted USING (job_key)"
        " WHERE (jobs.total, jobs.pending, jobs.running, jobs.succeeded, jobs.failed)"
        " IS NOT (counted.total, counted.pending, counted.running, counted.succeeded, counted.failed)"
        " AND job_id NOT IN (SELECT job_id FROM tombstones)",
    ),
    "waiting items": (
        "jobs whose waiting items are not those in the queue",
        "SELECT job_id FROM jobs JOIN lots USING (job_key) WHERE ready != (SELECT count(*) FROM items"
        " WHERE items.job_key = lots.job_key AND state = 'pending' AND not_before_ms IS NULL)",
    ),
    "queue by model": (
        "models and priorities whose queue is not what its jobs have ready",
        f"SELECT signature_id || '/' || priority FROM (SELECT * FROM ({_HEADS} EXCEPT {_LOTS})"
        f" UNION SELECT * FROM ({_LOTS} EXCEPT {_HEADS}))",
    ),
    "jobs at their bounds": (
        "jobs that have more or less room for further items at work than they say",
        "SELECT job_id FROM jobs JOIN lots USING (job_key)"
        " WHERE room IS NOT iif(max_concurrency > 0, max_concurrency - running, NULL)",
    ),
    "queue totals": (
        "totals that are not the sums over all jobs",
        "SELECT 'totals' FROM totals WHERE (pending, running, active_jobs) IS NOT (SELECT coalesce(sum(pending), 0),"
        " coalesce(sum(running), 0), coalesce(sum(finished_ms IS NULL), 0) FROM jobs)",
    ),
    "running items": (
        "items that run in no run, or in more than one",
        "SELECT job_id || ' item ' || idx FROM items JOIN jobs USING (job_key) WHERE items.state = 'running' AND 1 !="
        " (SELECT count(*) FROM attempts JOIN runs USING (run_id) WHERE attempts.job_key = items.job_key"
        " AND attempts.idx = items.idx AND runs.finished_ms IS NULL)",
    ),
}


class KnownFile(NamedTuple):
    """An artifact as its row has it; `path` is relative to the data directory."""

    path: str
    bytes: int
    sha256: str


def check_database(data_dir: Path, largest: int | None = None) -> Iterator[Finding]:
    """What is well and what is not, in the order in which it matters; one of more bytes is not looked through.

    Raises:
        StoreError: It is no database of ours.
        sqlite3.Error: It can't be read at all.
    """
    path = data_dir / FILE_NAME
    with closing(_open(path)) as connection:
        connection.execute("BEGIN")
        refuse_strangers(connection, path)
        yield _schema(connection)
        if largest is not None and path.stat().st_size > largest:
            yield Finding(
                "database", ok=True, detail=f"{path.stat().st_size >> 20} MiB: run `stokerd check` on its host"
            )
            return
        yield _integrity(connection)
        for part, (what, query) in _DISAGREEMENTS.items():
            yield _disagreement(connection, part, what, query)


def known_files(data_dir: Path) -> Iterator[KnownFile]:
    """All artifacts, the newest first."""
    with closing(_open(data_dir / FILE_NAME)) as connection:
        yield from map(
            KnownFile._make,
            connection.execute("SELECT path, bytes, sha256 FROM artifacts ORDER BY artifact_id DESC"),
        )


def newest_job_ms(data_dir: Path) -> int:
    """When the newest job was accepted; 0: there is none, or the database can't be read, which is told elsewhere."""
    with suppress(sqlite3.Error), closing(_open(data_dir / FILE_NAME)) as connection:
        newest = connection.execute("SELECT created_ms FROM jobs ORDER BY job_key DESC LIMIT 1").fetchone()
        return newest[0] if newest else 0
    return 0


def _open(path: Path) -> sqlite3.Connection:
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no database here; name its directory with --data-dir")
    connection = sqlite3.connect(path, isolation_level=None, timeout=30)
    connection.execute("PRAGMA query_only=1")
    return connection


def _schema(connection: sqlite3.Connection) -> Finding:
    (schema,) = connection.execute("PRAGMA user_version").fetchone()
    newest = newest_schema()
    if schema > newest:
        return Finding("schema", ok=False, detail=f"{schema} is newer than {newest}: install the newer stokerd again")
    pending = f"; the next start brings it to {newest}, with a backup" if schema < newest else ""
    return Finding("schema", ok=True, detail=f"{schema}{pending}")


def _integrity(connection: sqlite3.Connection) -> Finding:
    problems = [line for (line,) in connection.execute("PRAGMA integrity_check(3)") if line != "ok"]
    problems += [f"a row of {row[0]} without its {row[2]}" for row in connection.execute("PRAGMA foreign_key_check")][
        :3
    ]
    detail = f"damaged: {'; '.join(problems)}; {RESTORE}" if problems else "sound"
    return Finding("database", ok=not problems, detail=detail)


def _disagreement(connection: sqlite3.Connection, part: str, what: str, query: str) -> Finding:
    found = [name for (name,) in connection.execute(query)]
    if not found:
        return Finding(part, ok=True, detail="as it should be")
    return Finding(part, ok=False, detail=f"{len(found)} {what}: {', '.join(found[:3])}; {REPORT}")
