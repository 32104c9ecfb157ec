"""From rows to the words of the protocol, and the one place that keeps a job's counts and state in step."""

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import UNSET, Raw

from stoker_daemon.jobs.lifecycle import job_state
from stoker_daemon.jobs.records import Stop
from stoker_daemon.sqlite.writer import Execute, Transaction
from stoker_protocol.codec import pack
from stoker_protocol.errors import ErrorCode, Refused
from stoker_protocol.jobs import Artifact, Failure, Item, ItemCounts, ItemState, Job, JobState, Pause, Priority

EMPTY_MAP = bytes(pack({}))
PRIORITIES: dict[int, Priority] = {priority.rank: priority for priority in Priority}
COUNT_COLUMNS = "total, pending, running, succeeded, failed, rejected, cancelled, skipped"
JOB_COLUMNS = (
    f"{COUNT_COLUMNS}, job_id, name, state, priority, engine, model, client, created_ms, rev, is_open,"
    " paused_reason, paused_author, paused_ms, started_ms, finished_ms, error_kind, error_message, recipe,"
    " max_concurrency, metadata"
)
ITEM_COLUMNS = "idx, state, attempts, custom_id, error_kind, error_message, not_before_ms, params"
ARTIFACT_COLUMNS = "artifact_id, idx, output, path, media_type, sha256, bytes"

Moves = Mapping[tuple[ItemState, ItemState], int]
"""How many items went from which state to which."""


def to_job(row: Sequence[Any], *, with_metadata: bool = True) -> Job:
    """A job from its JOB_COLUMNS; events go without the metadata, which never changes."""
    counts, rest = row[:8], row[8:]
    job_id, name, state, priority, engine, model, client, created_ms, rev, is_open, reason, author, paused_ms = rest[
        :13
    ]
    started_ms, finished_ms, error_kind, error_message, recipe, max_concurrency, metadata = rest[13:]
    return Job(
        job_id=job_id,
        name=name,
        state=JobState(state),
        priority=PRIORITIES[priority],
        engine=engine,
        model=model,
        client=client,
        items=ItemCounts(*counts),
        created_at_ms=created_ms,
        rev=rev,
        is_open=bool(is_open),
        paused=to_pause(None if paused_ms is None else (reason, author, paused_ms)),
        started_at_ms=started_ms,
        finished_at_ms=finished_ms,
        error=to_failure(error_kind, error_message),
        metadata=Raw(metadata) if with_metadata and metadata != EMPTY_MAP else UNSET,
        recipe=recipe,
        max_concurrency=max_concurrency,
    )


def to_item(row: Sequence[Any], artifacts: list[Artifact], *, with_params: bool) -> Item:
    """An item from its ITEM_COLUMNS."""
    index, state, attempts, custom_id, error_kind, error_message, not_before_ms, params = row
    return Item(
        index=index,
        state=ItemState(state),
        attempts=attempts,
        custom_id=custom_id,
        error=to_failure(error_kind, error_message),
        not_before_ms=not_before_ms,
        artifacts=artifacts,
        params=Raw(params) if with_params else UNSET,
    )


def to_failure(kind: str | None, message: str | None) -> Failure | None:
    """A failure from its two columns."""
    return None if kind is None else Failure(kind, message or "")


def to_pause(row: Sequence[Any] | None) -> Pause | None:
    """A pause from its reason, author and time, if there is one."""
    return None if row is None else Pause(*row)


def to_artifact(row: Sequence[Any]) -> Artifact:
    """An artifact from its ARTIFACT_COLUMNS."""
    return Artifact(*row)


def job_key_of(execute: Execute, job_id: str, *, field: str = "job_id") -> int:
    """The row of a job.

    Raises:
        Refused: `not_found`, naming the field of the request that it came in.
    """
    row = execute("SELECT job_key FROM jobs WHERE job_id = ?", (job_id,)).fetchone()
    if row is None:
        raise Refused(
            ErrorCode.NOT_FOUND, f"there is no job {job_id!r}", field=field, hint="`stoker status --all` lists them"
        )
    return row[0]


def read_job(execute: Execute, job_key: int, *, with_metadata: bool = False) -> Job:
    """A job by its row."""
    row = execute(f"SELECT {JOB_COLUMNS} FROM jobs WHERE job_key = ?", (job_key,)).fetchone()
    return to_job(row, with_metadata=with_metadata)


class Tally:
    """One job's counts, state and times within a transaction: read once, moved along with its items, written once."""

    def __init__(self, transaction: Transaction, job_key: int) -> None:
        self.job = read_job(transaction.execute, job_key)
        self._transaction = transaction
        self._job_key = job_key
        self._is_bare = False

    def move(self, moves: Moves, *, added: int = 0, seal: bool = False) -> Job:
        """Follow moves that the items have made; the job as it is then.

        `added` pending items are new; with `seal` no more may come. A job that is over, or on its way there, is held
        back no more. One that left no file has no folder, and nothing to sum up in it.
        """
        transaction, job, now_ms = self._transaction, self.job, self._transaction.now_ms
        items = _moved(job.items, moves, added)
        is_open = job.is_open and not seal
        state = job_state(items, job.state, is_open=is_open)
        if job.max_concurrency and items.running < job.items.running:
            transaction.has_work = True  # there is room again for others of its items
        self._is_bare = state.is_final and not _has_files(transaction, self._job_key)
        transaction.has_ended = transaction.has_ended or (state.is_final and not self._is_bare)
        paused = job.paused
        if paused and (state.is_final or state is JobState.CANCELLING):
            release_job(transaction, self._job_key)
            paused = None
        self.job = msgspec.structs.replace(
            job,
            items=items,
            state=state,
            is_open=is_open,
            paused=paused,
            started_at_ms=job.started_at_ms or (now_ms if items.running else None),
            finished_at_ms=(job.finished_at_ms or now_ms) if state.is_final else None,
            error=_first_error(transaction, self._job_key) if state is JobState.FAILED else None,
        )
        return self.job

    def write(self) -> None:
        """Bring the row in step."""
        job = self.job
        self._transaction.execute(
            "UPDATE jobs SET total=?, pending=?, running=?, succeeded=?, failed=?, rejected=?, cancelled=?, skipped=?,"
            " state=?, is_open=?, started_ms=?, finished_ms=?, error_kind=?, error_message=?, is_summed=?"
            " WHERE job_key=?",
            (
                *msgspec.structs.astuple(job.items),
                job.state.value,
                int(job.is_open),
                job.started_at_ms,
                job.finished_at_ms,
                job.error.kind if job.error else None,
                job.error.message if job.error else None,
                int(self._is_bare),
                self._job_key,
            ),
        )


def move_items(transaction: Transaction, job_key: int, moves: Moves, *, added: int = 0, seal: bool = False) -> Job:
    """Bring a job's row in step with moves that its items have made, as a `Tally` does; the job as it is then."""
    tally = Tally(transaction, job_key)
    job = tally.move(moves, added=added, seal=seal)
    tally.write()
    return job


def move_ready(transaction: Transaction, job_key: int, number: int) -> None:
    """So many more (or fewer) items of a job wait to be claimed."""
    if number > 0:
        transaction.has_work = True
    if number:
        transaction.execute("UPDATE lots SET ready = ready + ? WHERE job_key = ?", (number, job_key))


def release_job(transaction: Transaction, job_key: int) -> None:
    """Let a job's items be claimed again; the time that it was held back counts as no waiting."""
    transaction.has_work = True
    transaction.execute(
        "UPDATE lots SET is_held = 0, came_ms = came_ms + ?1 - (SELECT coalesce(paused_ms, ?1) FROM jobs"
        " WHERE job_key = ?2) WHERE job_key = ?2",
        (transaction.now_ms, job_key),
    )
    transaction.execute(
        "UPDATE jobs SET paused_reason = NULL, paused_author = NULL, paused_ms = NULL WHERE job_key = ?", (job_key,)
    )


def stop_runs(transaction: Transaction, reason: str, job_key: int | None = None) -> None:
    """Have the lanes stop their runs at work: what one job has in them, or all."""
    if job_key is None:
        rows = transaction.execute("SELECT run_id, lane, NULL FROM runs WHERE finished_ms IS NULL")
    else:
        rows = transaction.execute(
            "SELECT DISTINCT run_id, lane, job_id FROM runs JOIN attempts USING (run_id) JOIN jobs USING (job_key)"
            " WHERE runs.finished_ms IS NULL AND attempts.job_key = ?",
            (job_key,),
        )
    transaction.stops += [Stop(run_id, lane, reason, job_id) for run_id, lane, job_id in rows]


def head_seq(connection: sqlite3.Connection) -> int:
    """The seq of the last committed event, pruned or not."""
    return connection.execute("SELECT head FROM totals").fetchone()[0]


def _moved(items: ItemCounts, moves: Moves, added: int) -> ItemCounts:
    counts = msgspec.structs.asdict(items)
    counts["total"] += added
    counts["pending"] += added
    for (before, after), number in moves.items():
        counts[before] -= number
        counts[after] += number
    return ItemCounts(**counts)


def _has_files(transaction: Transaction, job_key: int) -> bool:
    return transaction.execute("SELECT 1 FROM artifacts WHERE job_key = ? LIMIT 1", (job_key,)).fetchone() is not None


def _first_error(transaction: Transaction, job_key: int) -> Failure | None:
    row = transaction.execute(
        "SELECT error_kind, error_message FROM items WHERE job_key = ? AND state = 'failed' ORDER BY idx LIMIT 1",
        (job_key,),
    ).fetchone()
    return to_failure(*row) if row else None
