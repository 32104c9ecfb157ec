"""What a new daemon does with runs that the end of an earlier one cut short."""

import sqlite3
from dataclasses import replace

from stoker_daemon.jobs.records import Interrupted, Limits, Member, Result, Run, Signature
from stoker_daemon.ports import ClaimOrder
from stoker_daemon.sqlite.controlling import hold_job
from stoker_daemon.sqlite.recording import Ended, record
from stoker_daemon.sqlite.rows import PRIORITIES, read_job
from stoker_daemon.sqlite.writer import Transaction
from stoker_protocol import codec
from stoker_protocol.errors import FailureKind
from stoker_protocol.jobs import Failure, ItemState, Job, JobState, OnInterrupt, Pause


def read_interrupted(connection: sqlite3.Connection) -> list[Interrupted]:
    """Runs without an outcome, with their members and the files that these have in the database."""
    runs = connection.execute(
        "SELECT run_id, lane, engine FROM runs JOIN signatures USING (signature_id)"
        " WHERE finished_ms IS NULL ORDER BY claimed_ms"
    ).fetchall()
    return [
        Interrupted(run_id, lane, engine, _members(connection, run_id), _known_paths(connection, run_id))
        for run_id, lane, engine in runs
    ]


def hand_back(transaction: Transaction, run: Interrupted) -> None:
    """Treat each member by its job's `on_interrupt`; a death of the daemon never counts against an item."""
    wishes = {member.job_key: _wish(transaction, member.job_key) for member in run.members}
    results = [_result(m, wishes[m.job_key]) for m in run.members]
    record(transaction, [Ended(run.run_id, run.members, results)])
    for job_key, wish in wishes.items():
        job = read_job(transaction.execute, job_key)
        if wish is OnInterrupt.ASK and job.paused is None:
            hold_job(transaction, job_key, Pause("interrupted", "stokerd", transaction.now_ms))


def take_up(connection: sqlite3.Connection, run: Interrupted, order: ClaimOrder) -> Run:
    """Such a run as it was claimed; the seconds of `order` hold for jobs that set none of their own."""
    engine, residency, merge = connection.execute(
        "SELECT engine, residency, merge FROM runs JOIN signatures USING (signature_id) WHERE run_id = ?", (run.run_id,)
    ).fetchone()
    job_keys = list(dict.fromkeys(member.job_key for member in run.members))
    rows = {key: _job_row(connection, key) for key in job_keys}
    return Run(
        run.run_id,
        run.lane,
        Signature(engine, residency, merge),
        PRIORITIES[min(priority for priority, *_ in rows.values())],
        tuple(_with_parameters(connection, member, rows[member.job_key]) for member in run.members),
        Limits(
            min(timeout_s or order.timeout_s for _, _, timeout_s, *_ in rows.values()),
            min(no_progress_s or order.no_progress_s for _, _, _, no_progress_s, *_ in rows.values()),
        ),
        tuple(read_job(connection.execute, key) for key in job_keys),
    )


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


def _job_row(connection: sqlite3.Connection, job_key: int) -> tuple[int, int, float, float, bytes, bytes]:
    return connection.execute(
        "SELECT priority, max_attempts, timeout_s, no_progress_s, params, body"
        " FROM jobs LEFT JOIN templates USING (template_key) WHERE job_key = ?",
        (job_key,),
    ).fetchone()


def _with_parameters(
    connection: sqlite3.Connection, member: Member, job: tuple[int, int, float, float, bytes, bytes]
) -> Member:
    (own,) = connection.execute(
        "SELECT params FROM items WHERE job_key = ? AND idx = ?", (member.job_key, member.index)
    ).fetchone()
    _, max_attempts, _, _, shared, template = job
    params = {**codec.unpack_map(shared), **codec.unpack_map(own)}
    return replace(member, params=params, template=template or b"", max_attempts=max_attempts)


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
