"""What a new daemon does with runs that the end of an earlier one cut short."""

import sqlite3

from stoker_daemon.jobs.records import Interrupted, Member, Result
from stoker_daemon.sqlite.controlling import hold_job
from stoker_daemon.sqlite.recording import record
from stoker_daemon.sqlite.rows import read_job
from stoker_daemon.sqlite.writer import Transaction
from stoker_protocol.errors import FailureKind
from stoker_protocol.jobs import Failure, ItemState, Job, JobState, OnInterrupt, Pause


def read_interrupted(connection: sqlite3.Connection) -> list[Interrupted]:
    """Runs without an outcome, with their members and the files that these have in the database."""
    runs = connection.execute("SELECT run_id, lane FROM runs WHERE finished_ms IS NULL ORDER BY claimed_ms").fetchall()
    return [
        Interrupted(run_id, lane, _members(connection, run_id), _known_paths(connection, run_id))
        for run_id, lane in runs
    ]


def hand_back(transaction: Transaction, run: Interrupted) -> None:
    """Treat each member by its job's `on_interrupt`; a death of the daemon never counts against an item."""
    wishes = {member.job_key: _wish(transaction, member.job_key) for member in run.members}
    record(transaction, run.run_id, run.members, [_result(m, wishes[m.job_key]) for m in run.members])
    for job_key, wish in wishes.items():
        job = read_job(transaction.execute, job_key)
        if wish is OnInterrupt.ASK and job.paused is None:
            hold_job(transaction, job_key, Pause("interrupted", "stokerd", transaction.now_ms))


def mark_summed(transaction: Transaction, job: Job) -> None:
    """Remember that the summary of a final job is written; a retry since then has made it stale again."""
    transaction.execute(
        "UPDATE jobs SET is_summed = 1 WHERE job_id = ? AND rev = ? AND finished_ms IS NOT NULL", (job.job_id, job.rev)
    )


def _result(member: Member, wish: OnInterrupt) -> Result:
    failure = Failure(FailureKind.LOST.value, "the daemon ended while this item was running")
    state = ItemState.FAILED if wish is OnInterrupt.FAIL else ItemState.PENDING
    return Result(member.position, state, failure, charged=False)


def _wish(transaction: Transaction, job_key: int) -> OnInterrupt:
    """A job that is being cancelled wants no more than that, and what is handed back to it is cancelled."""
    state, wish = transaction.execute("SELECT state, on_interrupt FROM jobs WHERE job_key = ?", (job_key,)).fetchone()
    return OnInterrupt.REQUEUE if JobState(state) is JobState.CANCELLING else OnInterrupt(wish)


def _members(connection: sqlite3.Connection, run_id: str) -> tuple[Member, ...]:
    rows = connection.execute(
        "SELECT position, job_key, job_id, idx, custom_id, attempts, crashes, created_ms"
        " FROM attempts JOIN items USING (job_key, idx) JOIN jobs USING (job_key) WHERE run_id = ? ORDER BY position",
        (run_id,),
    )
    return tuple(
        Member(position, job_key, job_id, index, custom_id, attempts + 1, crashes, created_ms, params={})
        for position, job_key, job_id, index, custom_id, attempts, crashes, created_ms in rows
    )


def _known_paths(connection: sqlite3.Connection, run_id: str) -> frozenset[str]:
    rows = connection.execute(
        "SELECT path FROM attempts JOIN artifacts USING (job_key, idx) WHERE attempts.run_id = ?", (run_id,)
    )
    return frozenset(path for (path,) in rows)
