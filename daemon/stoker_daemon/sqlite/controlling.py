"""What people do to work that is there: move, pause, resume; each says what it did and may be repeated."""

import msgspec

from stoker_daemon.sqlite.rows import job_key_of, read_job, release_job, stop_runs, to_pause
from stoker_daemon.sqlite.writer import Transaction
from stoker_protocol.errors import ErrorCode, Refused
from stoker_protocol.events import (
    QUEUE_TOPIC,
    JobMoved,
    JobPaused,
    JobResumed,
    QueuePaused,
    QueueResumed,
    topic_of_job,
)
from stoker_protocol.jobs import Job, JobState, Pause, Priority
from stoker_protocol.replies import Moved, Paused, Resumed
from stoker_protocol.requests import Move

IDLE_REASON = "idle: no items were added for long; it goes on with the next append, with seal, or with resume"


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
    check_rev(request.job_id, request.rev, before)
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


def wake_idle(transaction: Transaction, job_key: int) -> None:
    """Let a job go on that was held back for being idle."""
    job = read_job(transaction.execute, job_key)
    if job.paused is not None and job.paused.reason == IDLE_REASON:
        resume_job(transaction, job.job_id, "stokerd")


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
        transaction.has_work = True
        transaction.tell(QUEUE_TOPIC, QueueResumed(author=author))
    return Resumed(was_paused=was_paused)


def queue_pause(transaction: Transaction) -> Pause | None:
    """The pause of the whole queue, if it is in force."""
    return to_pause(transaction.execute("SELECT reason, author, at_ms FROM queue_pause").fetchone())


def check_rev(job_id: str, rev: int, before: Job) -> None:
    """Refuse what was decided by an older state of the job. Raises Refused: `conflict`."""
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
