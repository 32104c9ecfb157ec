"""How a run ends: every member's outcome, its artifacts, the job's state and the event, all in one transaction."""

from collections import Counter
from collections.abc import Sequence

from stoker_daemon.jobs.lifecycle import IllegalMove
from stoker_daemon.jobs.records import Member, Result
from stoker_daemon.sqlite.rows import move_items, move_ready
from stoker_daemon.sqlite.writer import Transaction
from stoker_protocol.events import RunFinished, topic_of_job
from stoker_protocol.jobs import Failure, ItemState, Job, JobState, Outcome


def record(transaction: Transaction, run_id: str, members: Sequence[Member], results: Sequence[Result]) -> list[Job]:
    """Write what became of each member; the jobs that took part, as they are then.

    Raises:
        IllegalMove: A result is missing, double or for an item that is not running.
    """
    by_position = {result.position: result for result in results}
    if sorted(by_position) != sorted(member.position for member in members) or len(results) != len(members):
        raise IllegalMove(f"run {run_id} has {len(members)} members and results for {sorted(by_position)}")
    _finish_run(transaction, run_id)
    jobs: list[Job] = []
    for job_key in dict.fromkeys(member.job_key for member in members):
        mine = [(m, by_position[m.position]) for m in members if m.job_key == job_key]
        jobs.append(_record_job(transaction, run_id, job_key, mine))
    return jobs


def _finish_run(transaction: Transaction, run_id: str) -> None:
    done = transaction.execute(
        "UPDATE runs SET finished_ms = ? WHERE run_id = ? AND finished_ms IS NULL", (transaction.now_ms, run_id)
    )
    if done.rowcount != 1:
        raise IllegalMove(f"run {run_id} has ended before, or never began")


def _record_job(transaction: Transaction, run_id: str, job_key: int, mine: list[tuple[Member, Result]]) -> Job:
    mine = _cancel_what_waits(transaction, job_key, mine)
    for member, result in mine:
        _record_member(transaction, run_id, member, result)
    ready = sum(result.state is ItemState.PENDING and not result.delay_s for _, result in mine)
    move_ready(transaction, job_key, ready)
    job = move_items(transaction, job_key, Counter((ItemState.RUNNING, result.state) for _, result in mine))
    outcomes = [Outcome(m.index, result.state, m.attempt, result.error) for m, result in mine]
    transaction.tell(topic_of_job(job.job_id), RunFinished(job=job, run_id=run_id, outcomes=outcomes))
    return job


def _cancel_what_waits(
    transaction: Transaction, job_key: int, mine: list[tuple[Member, Result]]
) -> list[tuple[Member, Result]]:
    """In a job that is being cancelled nothing goes back to the queue."""
    (state,) = transaction.execute("SELECT state FROM jobs WHERE job_key = ?", (job_key,)).fetchone()
    if JobState(state) is not JobState.CANCELLING:
        return mine
    return [
        (member, Result(result.position, ItemState.CANCELLED) if result.state is ItemState.PENDING else result)
        for member, result in mine
    ]


def _record_member(transaction: Transaction, run_id: str, member: Member, result: Result) -> None:
    error = result.error or Failure("", "")
    not_before_ms = transaction.now_ms + round(result.delay_s * 1000) if result.delay_s else None
    moved = transaction.execute(
        "UPDATE items SET state = ?, attempts = attempts + ?, crashes = crashes + ?, alone = ?, not_before_ms = ?,"
        " error_kind = ?, error_message = ? WHERE job_key = ? AND idx = ? AND state = 'running'",
        (
            result.state.value,
            int(result.charged),
            int(result.crashed),
            int(result.alone),
            not_before_ms,
            error.kind or None,
            error.message or None,
            member.job_key,
            member.index,
        ),
    )
    if moved.rowcount != 1:
        raise IllegalMove(f"item {member.index} of job {member.job_id} is not running")
    transaction.execute(
        "UPDATE attempts SET outcome = ?, error_kind = ? WHERE run_id = ? AND position = ?",
        (result.state.value, error.kind or None, run_id, member.position),
    )
    _record_artifacts(transaction, run_id, member, result)


def _record_artifacts(transaction: Transaction, run_id: str, member: Member, result: Result) -> None:
    transaction.executemany(
        "INSERT INTO artifacts (job_key, idx, output, run_id, path, media_type, sha256, bytes)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (job_key, idx, output) DO UPDATE SET run_id = excluded.run_id, path = excluded.path,"
        " media_type = excluded.media_type, sha256 = excluded.sha256, bytes = excluded.bytes",
        [
            (member.job_key, member.index, a.output, run_id, a.path, a.media_type, a.sha256, a.bytes)
            for a in result.artifacts
        ],
    )
