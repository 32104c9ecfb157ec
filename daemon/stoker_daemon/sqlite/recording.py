"""How a run ends: every member's outcome, its artifacts, the job's state and the event, all in one transaction."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from stoker_daemon.jobs.lifecycle import IllegalMove
from stoker_daemon.jobs.records import Member, Result
from stoker_daemon.sqlite.rows import Tally, move_ready
from stoker_daemon.sqlite.writer import Transaction
from stoker_protocol.events import RunFinished, topic_of_job
from stoker_protocol.jobs import Failure, ItemState, Job, JobState, Outcome


class Ended(NamedTuple):
    """A run that came to its end, and what becomes of each member."""

    run_id: str
    members: Sequence[Member]
    results: Sequence[Result]


class _Share(NamedTuple):
    """What one job has in a run that ended."""

    run_id: str
    job_key: int
    members: list[tuple[Member, Result]]


def record(transaction: Transaction, ended: Sequence[Ended]) -> list[Job]:
    """Write what became of each member of these runs; the jobs that took part, as they are then.

    Raises:
        IllegalMove: A result is missing, double or for an item that is not running.
    """
    _finish_runs(transaction, ended)
    job_keys = dict.fromkeys(member.job_key for run in ended for member in run.members)
    tallies = {job_key: Tally(transaction, job_key) for job_key in job_keys}
    shares = [share for run in ended for share in _shares(run, tallies)]
    _record_members(transaction, shares)
    ready: Counter[int] = Counter()
    for share in shares:
        ready[share.job_key] += sum(_is_ready(result) for _, result in share.members)
        job = tallies[share.job_key].move(Counter((ItemState.RUNNING, result.state) for _, result in share.members))
        outcomes = [Outcome(m.index, result.state, m.attempt, result.error) for m, result in share.members]
        transaction.tell(topic_of_job(job.job_id), RunFinished(job=job, run_id=share.run_id, outcomes=outcomes))
    for job_key, tally in tallies.items():
        tally.write()
        move_ready(transaction, job_key, ready[job_key])
    return [tally.job for tally in tallies.values()]


def _finish_runs(transaction: Transaction, ended: Sequence[Ended]) -> None:
    done = transaction.executemany(
        "UPDATE runs SET finished_ms = ? WHERE run_id = ? AND finished_ms IS NULL",
        [(transaction.now_ms, run.run_id) for run in ended],
    )
    if done.rowcount != len(ended):
        raise IllegalMove(f"one of the runs {[run.run_id for run in ended]} has ended before, or never began")


def _shares(run: Ended, tallies: Mapping[int, Tally]) -> list[_Share]:
    by_position = {result.position: result for result in run.results}
    positions = sorted(member.position for member in run.members)
    if sorted(by_position) != positions or len(run.results) != len(positions):
        raise IllegalMove(f"run {run.run_id} has {len(positions)} members and results for {sorted(by_position)}")
    shares: dict[int, _Share] = {}
    for member in run.members:
        job_key, result = member.job_key, by_position[member.position]
        if result.state is ItemState.PENDING and tallies[job_key].job.state is JobState.CANCELLING:
            result = Result(result.position, ItemState.CANCELLED)  # there nothing goes back to the queue
        shares.setdefault(job_key, _Share(run.run_id, job_key, [])).members.append((member, result))
    return list(shares.values())


def _is_ready(result: Result) -> bool:
    return result.state is ItemState.PENDING and not result.delay_s


def _record_members(transaction: Transaction, shares: Sequence[_Share]) -> None:
    rows = [(share.run_id, member, result) for share in shares for member, result in share.members]
    moved = transaction.executemany(
        "UPDATE items SET state = ?, attempts = attempts + ?, crashes = crashes + ?, alone = ?, not_before_ms = ?,"
        " error_kind = ?, error_message = ? WHERE job_key = ? AND idx = ? AND state = 'running'",
        [(*_outcome(result, transaction.now_ms), member.job_key, member.index) for _, member, result in rows],
    )
    if moved.rowcount != len(rows):
        raise IllegalMove(f"not all items of the runs {[share.run_id for share in shares]} are running")
    transaction.executemany(
        "UPDATE attempts SET outcome = ?, error_kind = ? WHERE run_id = ? AND position = ?",
        [(r.state.value, r.error.kind or None if r.error else None, run_id, m.position) for run_id, m, r in rows],
    )
    for run_id, member, result in rows:
        if result.artifacts:
            _record_artifacts(transaction, run_id, member, result)


def _outcome(result: Result, now_ms: int) -> tuple[Any, ...]:
    """What becomes of an item's row."""
    error = result.error or Failure("", "")
    return (
        result.state.value,
        int(result.charged),
        int(result.crashed),
        int(result.alone),
        now_ms + round(result.delay_s * 1000) if result.delay_s else None,
        error.kind or None,
        error.message or None,
    )


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
