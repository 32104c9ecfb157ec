"""How a run begins: from the head that the policy chose to a committed run row."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from stoker_daemon.jobs.records import Head, Limits, Member, Run, Signature
from stoker_daemon.ports import ClaimOrder
from stoker_daemon.scheduling.policy import batch_limit
from stoker_daemon.sqlite.rows import PRIORITIES, move_items, move_ready
from stoker_daemon.sqlite.writer import Transaction
from stoker_protocol import codec
from stoker_protocol.events import RunStarted, topic_of_job
from stoker_protocol.jobs import ItemState, Job, OnInterrupt
from stoker_protocol.jobs import Run as RunFacts

MAX_DUE = 1_000
"""Items whose back-off is ended in one transaction."""


def claim_some(transaction: Transaction, order: ClaimOrder, next_run_id: Callable[[], str]) -> tuple[Run, ...]:
    """Commit the runs that come first, none if nothing is ready or all is paused."""
    runs: list[Run] = []
    while len(runs) < order.at_once:
        run = claim(transaction, order, next_run_id(), after=runs[-1] if runs else None)
        if run is None:
            break
        runs.append(run)
    return tuple(runs)


def claim(transaction: Transaction, order: ClaimOrder, run_id: str, *, after: Run | None = None) -> Run | None:
    """Commit a run over the first items of the chosen head, or None: nothing is ready or all is paused.

    One that comes `after` another has to be for the same model, and such that it may wait.
    """
    end_back_off(transaction, order.max_delay_s)
    head = _choose(transaction, order)
    if head is None:
        return None
    run = _read_run(transaction, order, head, run_id)
    if after and not (run.may_wait and run.signature == after.signature):
        return None
    job = _mark_running(transaction, run, head)
    return replace(run, jobs=(job,))


def end_back_off(transaction: Transaction, max_delay_s: float) -> None:
    """Make items ready whose time to wait after a failure is over."""
    due = transaction.execute(
        "SELECT job_key, idx FROM items WHERE not_before_ms <= ? OR not_before_ms > ? ORDER BY not_before_ms LIMIT ?",
        (transaction.now_ms, transaction.now_ms + round(max_delay_s * 1000), MAX_DUE),
    ).fetchall()
    if not due:
        return
    transaction.executemany("UPDATE items SET not_before_ms = NULL WHERE job_key = ? AND idx = ?", due)
    for job_key in {job_key for job_key, _ in due}:
        move_ready(transaction, job_key, sum(key == job_key for key, _ in due))


def _choose(transaction: Transaction, order: ClaimOrder) -> Head | None:
    if transaction.execute("SELECT 1 FROM queue_pause").fetchone():
        return None
    rows = transaction.execute(
        "SELECT signature_id, engine, residency, merge, priority, ready, oldest"
        " FROM heads JOIN signatures USING (signature_id)"
    )
    heads = [
        Head(signature_id, Signature(engine, residency, merge), PRIORITIES[priority], ready, oldest)
        for signature_id, engine, residency, merge, priority, ready, oldest in rows
        if engine in order.engines
    ]
    return order.choose(heads)


def _read_run(transaction: Transaction, order: ClaimOrder, head: Head, run_id: str) -> Run:
    """The first items of the head's oldest job that may share a run."""
    job = transaction.execute(
        "SELECT job_key, job_id, created_ms, jobs.params, batch_size, max_attempts, timeout_s, no_progress_s, body,"
        " on_interrupt"
        " FROM lots JOIN jobs USING (job_key) LEFT JOIN templates USING (template_key)"
        " WHERE signature_id = ? AND lots.priority = ? AND ready > 0 AND is_held = 0 ORDER BY place LIMIT 1",
        (head.signature_id, head.priority.rank),
    ).fetchone()
    job_key, job_id, created_ms, params, batch_size, max_attempts, timeout_s, no_progress_s, template, wish = job
    rows = transaction.execute(
        # Left to itself SQLite takes the primary key, and walks over all items of the job that are done.
        "SELECT idx, params, attempts, crashes, alone, custom_id FROM items INDEXED BY items_ready"
        " WHERE job_key = ? AND state = 'pending' AND not_before_ms IS NULL ORDER BY idx LIMIT ?",
        (job_key, batch_limit(order.max_batch(head.signature), batch_size)),
    ).fetchall()
    shared = codec.unpack_map(params)
    members = tuple(
        Member(
            position=position,
            job_key=job_key,
            job_id=job_id,
            index=index,
            custom_id=custom_id,
            attempt=attempts + 1,
            crashes=crashes,
            created_ms=created_ms,
            params={**shared, **codec.unpack_map(own)},
            template=template or b"",
        )
        for position, (index, own, attempts, crashes, _, custom_id) in enumerate(_may_share(rows))
    )
    limits = Limits(max_attempts, timeout_s or order.timeout_s, no_progress_s or order.no_progress_s)
    may_wait = OnInterrupt(wish) is OnInterrupt.REQUEUE
    return Run(run_id, order.lane, head.signature, head.priority, members, limits, jobs=(), may_wait=may_wait)


def _may_share(rows: list[Any]) -> list[Any]:
    """The rows up to the first item that must run alone, or only that one if it comes first."""
    alone = [row[4] for row in rows]
    if 1 not in alone:
        return rows
    return rows[: max(1, alone.index(1))]


def _mark_running(transaction: Transaction, run: Run, head: Head) -> Job:
    job_key, number = run.members[0].job_key, len(run.members)
    transaction.executemany(
        "UPDATE items SET state = 'running' WHERE job_key = ? AND idx = ?",
        [(job_key, member.index) for member in run.members],
    )
    transaction.execute(
        "INSERT INTO runs (run_id, lane, signature_id, claimed_ms) VALUES (?, ?, ?, ?)",
        (run.run_id, run.lane, head.signature_id, transaction.now_ms),
    )
    transaction.executemany(
        "INSERT INTO attempts (run_id, position, job_key, idx) VALUES (?, ?, ?, ?)",
        [(run.run_id, member.position, job_key, member.index) for member in run.members],
    )
    move_ready(transaction, job_key, -number)
    job = move_items(transaction, job_key, {(ItemState.PENDING, ItemState.RUNNING): number})
    facts = RunFacts(
        run_id=run.run_id,
        lane=run.lane,
        engine=run.signature.engine,
        model=run.signature.residency,
        batch_size=number,
        indexes=[member.index for member in run.members],
    )
    transaction.tell(topic_of_job(job.job_id), RunStarted(job=job, run=facts))
    return job
