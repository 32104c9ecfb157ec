"""What people do to work that is there: cancel, retry, pause, resume; each says what it did and may be repeated."""

import sqlite3
from collections import Counter
from collections.abc import Sequence

import msgspec

from stoker_daemon.jobs.lifecycle import ITEM_MOVES, Cause, move_item
from stoker_daemon.sqlite.rows import job_key_of, move_items, move_ready, read_job, release_job, stop_runs, to_pause
from stoker_daemon.sqlite.writer import Transaction
from stoker_protocol.errors import ErrorCode, Refused
from stoker_protocol.events import (
    QUEUE_TOPIC,
    JobCancelled,
    JobMoved,
    JobPaused,
    JobResumed,
    JobRetried,
    QueuePaused,
    QueueResumed,
    topic_of_job,
)
from stoker_protocol.jobs import ItemState, Job, JobState, Pause, Priority
from stoker_protocol.replies import CancelledJob, Moved, Paused, Resumed, Retried
from stoker_protocol.requests import Cancel, Move, Retry

IDLE_REASON = "idle: no items were added for long; append or seal, then resume"


def read_jobs_to_cancel(connection: sqlite3.Connection, request: Cancel) -> list[int]:
    """The rows of the jobs that a cancel names, or that its scope means.

    Raises:
        Refused: `not_found`: one of those named.
    """
    if request.job_ids is not None:
        named = [job_key_of(connection.execute, job_id, field="job_ids") for job_id in request.job_ids]
        return list(dict.fromkeys(named))
    wanted = " AND state = 'queued'" if request.scope == "queued" else ""
    rows = connection.execute(f"SELECT job_key FROM jobs WHERE finished_ms IS NULL{wanted} ORDER BY job_key")
    return [job_key for (job_key,) in rows]


def cancel(transaction: Transaction, job_keys: Sequence[int], scope: str | None, author: str) -> list[CancelledJob]:
    """Drop what waits of these jobs and have the runs at work on them stopped; of those `queued`, what still is."""
    jobs = [(job_key, read_job(transaction.execute, job_key)) for job_key in job_keys]
    is_meant = {JobState.QUEUED} if scope == "queued" else set(JobState)
    return [_cancel(transaction, job_key, job, author) for job_key, job in jobs if job.state in is_meant]


def retry(transaction: Transaction, request: Retry, author: str) -> Retried:
    """Send items of a job back to the queue with fresh attempts; the same `rev` again does nothing more.

    Raises:
        Refused: `not_found`; `conflict`: the job was changed since `rev`; `invalid_state`: nothing to retry.
    """
    job_key = job_key_of(transaction.execute, request.job_id)
    before = read_job(transaction.execute, job_key)
    retried_rev, retried_items = transaction.execute(
        "SELECT retried_rev, retried_items FROM jobs WHERE job_key = ?", (job_key,)
    ).fetchone()
    if request.rev == retried_rev:
        return Retried(job_id=request.job_id, requeued=retried_items, rev=before.rev)
    _check_rev(request.job_id, request.rev, before)
    if before.state is JobState.CANCELLING:
        _check_active(before)
    moves = _requeue(transaction, job_key, request)
    requeued = sum(moves.values())
    if not requeued:
        raise _nothing_to_retry(request, before)
    move_ready(transaction, job_key, requeued)
    transaction.execute(
        "UPDATE jobs SET rev = rev + 1, retried_rev = ?, retried_items = ? WHERE job_key = ?",
        (request.rev, requeued, job_key),
    )
    job = move_items(transaction, job_key, moves)
    transaction.tell(topic_of_job(job.job_id), JobRetried(job=job, author=author, requeued=requeued))
    return Retried(job_id=job.job_id, requeued=requeued, rev=job.rev)


def move(transaction: Transaction, request: Move, author: str) -> Moved:
    """Give a job another priority, or the first place in it; the same `rev` again does nothing more.

    Raises:
        Refused: `not_found`; `conflict`: the job was changed since `rev`; `invalid_state`: the job is over.
    """
    job_key = job_key_of(transaction.execute, request.job_id)
    before = read_job(transaction.execute, job_key)
    (moved_rev,) = transaction.execute("SELECT moved_rev FROM jobs WHERE job_key = ?", (job_key,)).fetchone()
    if request.rev == moved_rev:
        return Moved(job_id=before.job_id, priority=before.priority, rev=before.rev)
    _check_rev(request.job_id, request.rev, before)
    _check_active(before)
    priority = request.priority or before.priority
    place = _front(transaction, priority) if request.front else job_key
    transaction.execute("UPDATE lots SET priority = ?, place = ? WHERE job_key = ?", (priority.rank, place, job_key))
    transaction.execute(
        "UPDATE jobs SET priority = ?, rev = rev + 1, moved_rev = ? WHERE job_key = ?",
        (priority.rank, request.rev, job_key),
    )
    job = read_job(transaction.execute, job_key)
    transaction.tell(topic_of_job(job.job_id), JobMoved(job=job, author=author))
    return Moved(job_id=job.job_id, priority=priority, rev=job.rev)


def pause_idle(transaction: Transaction, idle_ms: int) -> int:
    """Hold back open jobs that got no items for so long; how many."""
    rows = transaction.execute(
        "SELECT job_key FROM jobs WHERE is_open = 1 AND appended_ms < ? AND paused_ms IS NULL"
        " AND state <> 'cancelling'",
        (transaction.now_ms - idle_ms,),
    ).fetchall()
    for (job_key,) in rows:
        hold_job(transaction, job_key, Pause(IDLE_REASON, "stokerd", transaction.now_ms))
    return len(rows)


def pause_job(transaction: Transaction, job_id: str, pause: Pause, *, interrupt: bool) -> Paused:
    """Hold a job back; an earlier pause stays in force.

    Raises:
        Refused: `not_found`; `invalid_state`: the job is over.
    """
    job_key = job_key_of(transaction.execute, job_id)
    before = read_job(transaction.execute, job_key)
    _check_active(before)
    if before.paused is None:
        hold_job(transaction, job_key, pause)
    if interrupt:
        stop_runs(transaction, "pause", job_key)
    return Paused(paused=before.paused or pause, job_id=job_id)


def hold_job(transaction: Transaction, job_key: int, pause: Pause) -> None:
    """Keep a job's items from being claimed and tell so."""
    transaction.execute("UPDATE lots SET is_held = 1 WHERE job_key = ?", (job_key,))
    transaction.execute(
        "UPDATE jobs SET rev = rev + 1, paused_reason = ?, paused_author = ?, paused_ms = ? WHERE job_key = ?",
        (pause.reason, pause.author, pause.at_ms, job_key),
    )
    job = read_job(transaction.execute, job_key)
    transaction.tell(topic_of_job(job.job_id), JobPaused(job=job))


def resume_job(transaction: Transaction, job_id: str, author: str) -> Resumed:
    """Let a paused job go on.

    Raises:
        Refused: `not_found`.
    """
    job_key = job_key_of(transaction.execute, job_id)
    before = read_job(transaction.execute, job_key)
    if before.paused is None:
        return Resumed(was_paused=False, job_id=job_id)
    release_job(transaction, job_key)
    transaction.execute("UPDATE jobs SET rev = rev + 1 WHERE job_key = ?", (job_key,))
    job = read_job(transaction.execute, job_key)
    transaction.tell(topic_of_job(job_id), JobResumed(job=job, author=author))
    return Resumed(was_paused=True, job_id=job_id)


def pause_queue(transaction: Transaction, pause: Pause, *, interrupt: bool) -> Paused:
    """Hold all work back; an earlier pause stays in force."""
    earlier = queue_pause(transaction)
    if earlier is None:
        transaction.execute("INSERT INTO queue_pause VALUES (1, ?, ?, ?)", msgspec.structs.astuple(pause))
        transaction.tell(QUEUE_TOPIC, QueuePaused(paused=pause))
    if interrupt:
        stop_runs(transaction, "pause")
    return Paused(paused=earlier or pause)


def resume_queue(transaction: Transaction, author: str) -> Resumed:
    """Let all work go on."""
    was_paused = transaction.execute("DELETE FROM queue_pause").rowcount > 0
    if was_paused:
        transaction.tell(QUEUE_TOPIC, QueueResumed(author=author))
    return Resumed(was_paused=was_paused)


def queue_pause(transaction: Transaction) -> Pause | None:
    """The pause of the whole queue, if it is in force."""
    return to_pause(transaction.execute("SELECT reason, author, at_ms FROM queue_pause").fetchone())


def _cancel(transaction: Transaction, job_key: int, before: Job, author: str) -> CancelledJob:
    if before.state.is_final:
        return CancelledJob(before.job_id, before.state, dropped=0, stopping=0)
    dropped = transaction.execute(
        "UPDATE items SET state = 'cancelled', not_before_ms = NULL WHERE job_key = ? AND state = 'pending'",
        (job_key,),
    ).rowcount
    transaction.execute("UPDATE lots SET ready = 0 WHERE job_key = ?", (job_key,))
    is_first = before.state is not JobState.CANCELLING
    if is_first:
        transaction.execute("UPDATE jobs SET rev = rev + 1 WHERE job_key = ?", (job_key,))
    if before.items.running:
        transaction.execute("UPDATE jobs SET state = 'cancelling' WHERE job_key = ?", (job_key,))
    job = move_items(transaction, job_key, {(ItemState.PENDING, ItemState.CANCELLED): dropped}, seal=True)
    stop_runs(transaction, "cancel", job_key)
    if is_first:
        event = JobCancelled(job=job, author=author, dropped=dropped, stopping=job.items.running)
        transaction.tell(topic_of_job(job.job_id), event)
    return CancelledJob(job.job_id, job.state, dropped=dropped, stopping=job.items.running)


def _check_rev(job_id: str, rev: int, before: Job) -> None:
    if rev != before.rev:
        raise Refused(
            ErrorCode.CONFLICT,
            f"job {job_id} is at rev {before.rev}, not {rev}",
            field="rev",
            hint="look at the job again and repeat with its new rev",
        )


def _check_active(before: Job) -> None:
    if before.state.is_final or before.state is JobState.CANCELLING:
        raise Refused(
            ErrorCode.INVALID_STATE,
            f"job {before.job_id} is {before.state}",
            field="job_id",
            hint="only a job that waits or runs",
        )


def _front(transaction: Transaction, priority: Priority) -> int:
    """The place before all others of a priority."""
    (first,) = transaction.execute(
        "SELECT coalesce(min(oldest), 0) FROM heads WHERE priority = ?", (priority.rank,)
    ).fetchone()
    return first - 1


def _requeue(transaction: Transaction, job_key: int, request: Retry) -> Counter[tuple[ItemState, ItemState]]:
    moves: Counter[tuple[ItemState, ItemState]] = Counter()
    for state in dict.fromkeys(request.states):
        if Cause.RETRY not in ITEM_MOVES[state]:
            raise Refused(
                ErrorCode.BAD_REQUEST,
                f"items that are {state} can't be retried",
                field="states",
                hint="one of: " + ", ".join(s for s, causes in ITEM_MOVES.items() if Cause.RETRY in causes),
            )
        moves[state, move_item(state, Cause.RETRY)] = transaction.execute(
            "UPDATE items SET state = 'pending', attempts = 0, crashes = 0, alone = 0, error_kind = NULL,"
            " error_message = NULL WHERE job_key = ? AND state = ?",
            (job_key, state.value),
        ).rowcount
    return moves


def _nothing_to_retry(request: Retry, job: Job) -> Refused:
    return Refused(
        ErrorCode.INVALID_STATE,
        f"job {job.job_id} has no items that are {' or '.join(request.states)}",
        field="states",
        hint=f"the job is {job.state}: {job.items.failed} failed, {job.items.cancelled} cancelled",
    )
