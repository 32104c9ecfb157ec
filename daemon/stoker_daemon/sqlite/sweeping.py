"""Cancel and retry, which may touch every item of a job: the intent is one commit, the items follow step by step."""

import sqlite3
from collections.abc import Sequence

from stoker_daemon.jobs.lifecycle import ITEM_MOVES, Cause, move_item
from stoker_daemon.sqlite.controlling import check_rev
from stoker_daemon.sqlite.rows import Moves, job_key_of, move_items, move_ready, read_job, stop_runs
from stoker_daemon.sqlite.writer import Transaction
from stoker_protocol.errors import ErrorCode, Refused
from stoker_protocol.events import JobCancelled, JobRetried, topic_of_job
from stoker_protocol.jobs import ItemState, Job, JobState
from stoker_protocol.replies import CancelledJob, Retried
from stoker_protocol.requests import Cancel, Retry

# Between its first commit and its last a job is `cancelling`, or says in `retrying` which items go back; its lot is
# held, so that nothing of it is claimed. A daemon that finds such a job at its start brings it to its end.

STEP = 10_000
"""Items looked at in one transaction: some 50 ms for those who wait behind it."""

Unfinished = int | None
"""The row of a job that needs more steps."""


def read_jobs_to_cancel(connection: sqlite3.Connection, request: Cancel, owner: str | None = None) -> list[int]:
    """The rows of the jobs that a cancel names, or that its scope means: of all, or of one owner.

    Raises:
        Refused: `not_found`: one of those named.
    """
    if request.job_ids is not None:
        named = [job_key_of(connection.execute, job_id, field="job_ids") for job_id in request.job_ids]
        return list(dict.fromkeys(named))
    wanted = " AND state = 'queued'" if request.scope == "queued" else ""
    rows = connection.execute(
        f"SELECT job_key FROM jobs WHERE finished_ms IS NULL{wanted} AND client = ifnull(?, client) ORDER BY job_key",
        (owner,),
    )
    return [job_key for (job_key,) in rows]


def read_unfinished(connection: sqlite3.Connection) -> list[int]:
    """The rows of the jobs whose cancel or retry an earlier daemon did not bring to its end."""
    rows = connection.execute(
        "SELECT job_key FROM jobs WHERE finished_ms IS NULL AND state = 'cancelling' AND pending > 0"
        " UNION SELECT job_key FROM jobs WHERE retrying IS NOT NULL"
    )
    return [job_key for (job_key,) in rows]


def cancel(
    transaction: Transaction, job_keys: Sequence[int], scope: str | None, author: str
) -> list[tuple[CancelledJob, Unfinished]]:
    """Let nothing more of these jobs begin, have their runs at work stopped, and drop what waits of the small ones.

    Of those `queued` only what still is.
    """
    done: list[tuple[CancelledJob, Unfinished]] = []
    room = STEP
    for job_key in job_keys:
        before = read_job(transaction.execute, job_key)
        if scope != "queued" or before.state is JobState.QUEUED:
            done.append(_cancel(transaction, job_key, before, author, room))
            room -= before.items.total
    return done


def retry(transaction: Transaction, request: Retry, author: str) -> tuple[Retried, Unfinished]:
    """Begin to send items of a job back to the queue with fresh attempts; the same `rev` again does nothing more.

    Raises:
        Refused: `not_found`; `conflict`: the job was changed since `rev`; `invalid_state`: nothing to retry.
    """
    job_key = job_key_of(transaction.execute, request.job_id)
    before = read_job(transaction.execute, job_key)
    retried_rev, retried_items, retrying = transaction.execute(
        "SELECT retried_rev, retried_items, retrying FROM jobs WHERE job_key = ?", (job_key,)
    ).fetchone()
    if request.rev == retried_rev:
        unfinished = None if retrying is None else job_key
        return Retried(job_id=request.job_id, requeued=retried_items, rev=before.rev), unfinished
    check_rev(request.job_id, request.rev, before)
    _check_retry(request, before, retrying)
    requeued = sum(getattr(before.items, state) for state in set(request.states))
    transaction.execute(
        "UPDATE jobs SET rev = rev + 1, retried_rev = ?, retried_items = ?, retrying = ? WHERE job_key = ?",
        (request.rev, requeued, ",".join(dict.fromkeys(request.states)), job_key),
    )
    transaction.execute("UPDATE lots SET is_held = 1, came_ms = ? WHERE job_key = ?", (transaction.now_ms, job_key))
    more = before.items.total > STEP or sweep(transaction, job_key, 0, author) is not None
    return Retried(job_id=request.job_id, requeued=requeued, rev=before.rev + 1), job_key if more else None


def sweep(transaction: Transaction, job_key: int, start: int, author: str) -> int | None:
    """Go one step on from the item `start`; where the next one begins, or None when all is done."""
    before = read_job(transaction.execute, job_key)
    end = start + STEP
    is_last = end >= before.items.total
    if before.state is JobState.CANCELLING:
        job = _drop(transaction, job_key, start)
        if not job.items.pending:
            _tell_cancelled(transaction, job, author, dropped=job.items.cancelled)
            return None
        return 0 if is_last else end  # a cancel that found a retry at work goes on where that was, then comes round
    (retrying,) = transaction.execute("SELECT retrying FROM jobs WHERE job_key = ?", (job_key,)).fetchone()
    if retrying is None:
        return None
    job = _requeue(transaction, job_key, start, retrying.split(","), is_last=is_last)
    if is_last or before.state.is_final != job.state.is_final:
        _tell_retried(transaction, job_key, job, author)
    return None if is_last else end


def _cancel(
    transaction: Transaction, job_key: int, before: Job, author: str, room: int
) -> tuple[CancelledJob, Unfinished]:
    if before.state.is_final:
        return CancelledJob(before.job_id, before.state, dropped=0, stopping=0), None
    is_first = before.state is not JobState.CANCELLING
    if is_first:
        query = "UPDATE jobs SET rev = rev + 1, state = 'cancelling', retrying = NULL WHERE job_key = ?"
        transaction.execute(query, (job_key,))
    job = move_items(transaction, job_key, {}, seal=True)
    transaction.execute("UPDATE lots SET is_held = 1 WHERE job_key = ?", (job_key,))
    stop_runs(transaction, "cancel", job_key)
    is_whole = not before.items.pending or before.items.total <= room
    if is_whole:
        job = _drop(transaction, job_key, 0)
    if is_first or job.state.is_final:
        _tell_cancelled(transaction, job, author, dropped=before.items.pending)
    reply = CancelledJob(
        job.job_id, job.state, dropped=before.items.pending, stopping=job.items.running, closed=before.is_open
    )
    return reply, None if is_whole else job_key


def _drop(transaction: Transaction, job_key: int, start: int) -> Job:
    """Cancel those items of a step that wait; when none waits any more, the job need not be held."""
    span = (job_key, start, start + STEP)
    where = "WHERE job_key = ? AND idx >= ? AND idx < ? AND state = 'pending'"
    backing_off = transaction.execute(
        f"UPDATE items SET state = 'cancelled', not_before_ms = NULL {where} AND not_before_ms IS NOT NULL", span
    ).rowcount
    ready = transaction.execute(f"UPDATE items SET state = 'cancelled' {where}", span).rowcount
    move_ready(transaction, job_key, -ready)
    job = move_items(transaction, job_key, {(ItemState.PENDING, ItemState.CANCELLED): ready + backing_off})
    if not job.items.pending:
        transaction.execute("UPDATE lots SET is_held = 0 WHERE job_key = ?", (job_key,))
    return job


def _requeue(transaction: Transaction, job_key: int, start: int, states: Sequence[str], *, is_last: bool) -> Job:
    """Send those items of a step back that are in these states; their files, if any, will be replaced."""
    for state in states:
        transaction.execute(
            "DELETE FROM artifacts WHERE artifact_id IN (SELECT artifact_id FROM items JOIN artifacts"
            " USING (job_key, idx) WHERE job_key = ? AND idx >= ? AND idx < ? AND state = ?)",
            (job_key, start, start + STEP, state),
        )
    moves: Moves = {
        (ItemState(state), move_item(ItemState(state), Cause.RETRY)): transaction.execute(
            "UPDATE items SET state = 'pending', attempts = 0, crashes = 0, alone = 0, error_kind = NULL,"
            " error_message = NULL WHERE job_key = ? AND idx >= ? AND idx < ? AND state = ?",
            (job_key, start, start + STEP, state),
        ).rowcount
        for state in states
    }
    requeued = sum(moves.values())
    move_ready(transaction, job_key, requeued)
    if is_last:
        transaction.has_work = True
        transaction.execute("UPDATE jobs SET retrying = NULL WHERE job_key = ?", (job_key,))
        transaction.execute(
            "UPDATE lots SET is_held = (SELECT paused_ms IS NOT NULL FROM jobs WHERE job_key = :key)"
            " WHERE job_key = :key",
            {"key": job_key},
        )
    return move_items(transaction, job_key, moves) if requeued else read_job(transaction.execute, job_key)


def _tell_cancelled(transaction: Transaction, job: Job, author: str, dropped: int) -> None:
    event = JobCancelled(job=job, author=author, dropped=dropped, stopping=job.items.running)
    transaction.tell(topic_of_job(job.job_id), event)


def _tell_retried(transaction: Transaction, job_key: int, job: Job, author: str) -> None:
    (requeued,) = transaction.execute("SELECT retried_items FROM jobs WHERE job_key = ?", (job_key,)).fetchone()
    transaction.tell(topic_of_job(job.job_id), JobRetried(job=job, author=author, requeued=requeued))


def _check_retry(request: Retry, job: Job, retrying: str | None) -> None:
    for state in request.states:
        if Cause.RETRY not in ITEM_MOVES[state]:
            raise Refused(
                ErrorCode.BAD_REQUEST,
                f"items that are {state} can't be retried",
                field="states",
                hint="one of: " + ", ".join(s for s, causes in ITEM_MOVES.items() if Cause.RETRY in causes),
            )
    if job.state is JobState.CANCELLING or retrying is not None:
        what = "being cancelled" if retrying is None else "being retried"
        raise Refused(
            ErrorCode.INVALID_STATE, f"job {job.job_id} is {what}", field="job_id", hint="again when that is done"
        )
    if not any(getattr(job.items, state) for state in request.states):
        raise Refused(
            ErrorCode.INVALID_STATE,
            f"job {job.job_id} has no items that are {' or '.join(request.states)}",
            field="states",
            hint=f"the job is {job.state}: {job.items.failed} failed, {job.items.cancelled} cancelled; name the states"
            " to retry (`stoker retry JOB --cancelled`)",
        )
