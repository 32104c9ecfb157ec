"""How a job comes in: once, whatever happens to the reply."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from msgspec import UNSET, Raw, UnsetType

from stoker_daemon.jobs.records import Arrival, OpenJob, Placement, Signature
from stoker_daemon.sqlite.controlling import wake_idle
from stoker_daemon.sqlite.inserting import insert
from stoker_daemon.sqlite.rows import EMPTY_MAP, job_key_of, move_items, move_ready, read_job
from stoker_daemon.sqlite.writer import Execute, Transaction
from stoker_protocol import codec
from stoker_protocol.errors import ErrorCode, Refused
from stoker_protocol.events import JobAppended, JobSealed, JobSubmitted, topic_of_job
from stoker_protocol.jobs import ItemCounts, Job, JobState
from stoker_protocol.replies import Appended, Sealed
from stoker_protocol.requests import Append, ItemSpec, Submit

QUEUE_FULL_RETRY_S = 2.0
"""When to try again to add to a full queue."""
_ITEM_COLUMNS = "job_key, idx, custom_id, params, added_ms"


@dataclass(frozen=True, slots=True)
class Submission:
    """A job to take in: the request with its engine named, the body that it came in, and where it belongs."""

    request: Submit
    body: bytes
    client: str
    placement: Placement


def accept(transaction: Transaction, submissions: Sequence[Submission], max_pending: int) -> None:
    """Store jobs with their items, except those of which the very same were stored before.

    Raises:
        Refused: `conflict`: another job has, or had, the id of one; `queue_full`: more than `max_pending` items wait.
    """
    execute, now_ms = transaction.execute, transaction.now_ms
    fresh = _fresh(execute, submissions)
    if not fresh:
        return
    pending, last_job_key, by_client = execute("SELECT pending, last_job_key, by_client FROM totals").fetchone()
    _check_room(pending, sum(len(new.request.items) for new in fresh.values()), max_pending)
    keyed = list(enumerate(fresh.values(), start=last_job_key + 1))
    jobs = [_job_row(transaction, key, fingerprint, new) for (key, new), fingerprint in zip(keyed, fresh, strict=True)]
    insert(execute, "jobs", ", ".join(jobs[0]), (tuple(job.values()) for job in jobs))
    items = (row for key, new in keyed for row in _item_rows(key, 0, new.request.items, now_ms))
    insert(execute, "items", _ITEM_COLUMNS, items)
    signature_ids = {
        one: _signature_id(transaction, one) for one in {new.placement.signature for new in fresh.values()}
    }
    lots = (
        (*_lot_row(key, signature_ids[new.placement.signature], new.request, now_ms), new.client if by_client else "")
        for key, new in keyed
    )
    insert(execute, "lots", "job_key, signature_id, priority, place, ready, room, came_ms, client", lots)
    for one, signature_id in signature_ids.items():
        number = sum(len(new.request.items) for new in fresh.values() if new.placement.signature == one)
        transaction.arrivals.append(Arrival(signature_id, one, number))
    transaction.tell_first(
        [(topic_of_job(new.request.job_id), JobSubmitted(job=_as_accepted(new, now_ms))) for new in fresh.values()]
    )
    transaction.has_work = True


def append(transaction: Transaction, request: Append, max_pending: int) -> Appended:
    """Add items to an open job, or find that the very same are there already.

    Raises:
        Refused: `not_found`; `conflict`: other items are there, or some are missing before them; `invalid_state`: the
            job is sealed; `queue_full`: more than `max_pending` items wait.
    """
    job_key = job_key_of(transaction.execute, request.job_id)
    job = read_job(transaction.execute, job_key)
    if request.at < job.items.total and _are_there(transaction, job_key, request):
        return Appended(job_id=job.job_id, total=job.items.total)
    _check_append(request, job)
    (pending,) = transaction.execute("SELECT pending FROM totals").fetchone()
    _check_room(pending, len(request.items), max_pending)
    rows = _item_rows(job_key, request.at, request.items, transaction.now_ms)
    insert(transaction.execute, "items", _ITEM_COLUMNS, rows)
    _arrive(transaction, job_key, len(request.items))
    transaction.execute("UPDATE jobs SET appended_ms = ? WHERE job_key = ?", (transaction.now_ms, job_key))
    wake_idle(transaction, job_key)
    job = move_items(transaction, job_key, {}, added=len(request.items))
    transaction.tell(topic_of_job(job.job_id), JobAppended(job=job, at=request.at, count=len(request.items)))
    return Appended(job_id=job.job_id, total=job.items.total)


def seal(transaction: Transaction, job_id: str) -> Sealed:
    """Close an open job; one that is closed stays so.

    Raises:
        Refused: `not_found`.
    """
    job_key = job_key_of(transaction.execute, job_id)
    job = read_job(transaction.execute, job_key)
    if job.is_open:
        wake_idle(transaction, job_key)
        job = move_items(transaction, job_key, {}, seal=True)
        transaction.tell(topic_of_job(job_id), JobSealed(job=job))
    return Sealed(job_id=job_id, total=job.items.total)


def read_open_job(execute: Execute, job_id: str) -> OpenJob:
    """What further items of a job are checked against. Raises Refused: `not_found`."""
    job_key = job_key_of(execute, job_id)
    engine, model, params, residency, merge, recipe, template = execute(
        "SELECT jobs.engine, model, params, residency, merge, recipe, body FROM jobs JOIN lots USING (job_key)"
        " JOIN signatures USING (signature_id) LEFT JOIN templates USING (template_key) WHERE job_key = ?",
        (job_key,),
    ).fetchone()
    return OpenJob(engine, Raw(params), Placement(model, Signature(engine, residency, merge), recipe, template or b""))


def is_known(execute: Execute, job_id: str, fingerprint: bytes) -> bool:
    """Whether this very job was accepted before.

    Raises:
        Refused: `conflict`: another job has this id, or had it.
    """
    known = _fingerprints(execute, [job_id])
    if known.get(job_id, fingerprint) != fingerprint:
        raise _other_job(job_id)
    return bool(known)


def _fresh(execute: Execute, submissions: Sequence[Submission]) -> dict[bytes, Submission]:
    """Those that are not stored yet, each once, by their fingerprints. Raises Refused: `conflict`."""
    known = _fingerprints(execute, [submission.request.job_id for submission in submissions])
    fresh: dict[bytes, Submission] = {}
    for submission in submissions:
        job_id, fingerprint = submission.request.job_id, codec.fingerprint(submission.body)
        if job_id not in known:
            known[job_id] = fingerprint
            fresh[fingerprint] = submission
        elif known[job_id] != fingerprint:
            raise _other_job(job_id)
    return fresh


_FINGERPRINT = (
    "SELECT job_id, fingerprint FROM jobs WHERE job_id = ?1"
    " UNION ALL SELECT job_id, fingerprint FROM tombstones WHERE job_id = ?1"
)
"""The same for one id, at half the price."""


def _fingerprints(execute: Execute, job_ids: Sequence[str]) -> dict[str, bytes]:
    """Those of the jobs that have these ids, or had them, asked for at once: each query gives the GIL away."""
    if len(job_ids) == 1:
        return dict(execute(_FINGERPRINT, (job_ids[0],)).fetchall())
    rows = execute(
        "WITH asked AS (SELECT value AS job_id FROM json_each(?))"
        " SELECT job_id, fingerprint FROM asked JOIN jobs USING (job_id)"
        " UNION ALL SELECT job_id, fingerprint FROM asked JOIN tombstones USING (job_id)",
        (json.dumps(job_ids),),
    )
    return dict(rows.fetchall())


def _other_job(job_id: str) -> Refused:
    return Refused(
        ErrorCode.CONFLICT,
        f"another job has the id {job_id!r}",
        field="job_id",
        hint="use a new job_id, or send exactly what was sent before",
    )


def _check_append(request: Append, job: Job) -> None:
    if request.at != job.items.total:
        raise Refused(
            ErrorCode.CONFLICT,
            f"job {job.job_id} has {job.items.total} items, and these begin at {request.at}",
            field="at",
            hint=f"append at {job.items.total}, or repeat exactly what was sent before",
        )
    if not job.is_open:
        raise Refused(
            ErrorCode.INVALID_STATE, f"job {job.job_id} takes no more items", field="job_id", hint="submit another job"
        )


def _check_room(pending: int, number: int, max_pending: int) -> None:
    if pending + number > max_pending:
        raise Refused(
            ErrorCode.QUEUE_FULL,
            f"{pending} items wait already",
            hint=f"at most {max_pending}; go on when some are done",
            retry_after_s=QUEUE_FULL_RETRY_S,
        )


def _arrive(transaction: Transaction, job_key: int, number: int) -> None:
    """So many items were added to a job; if it had none ready, it waits from now on."""
    transaction.execute("UPDATE lots SET came_ms = ? WHERE job_key = ? AND ready = 0", (transaction.now_ms, job_key))
    move_ready(transaction, job_key, number)
    signature_id, *signature = transaction.execute(
        "SELECT signature_id, engine, residency, merge FROM lots JOIN signatures USING (signature_id)"
        " WHERE job_key = ?",
        (job_key,),
    ).fetchone()
    transaction.arrivals.append(Arrival(signature_id, Signature(*signature), number))


def _are_there(transaction: Transaction, job_key: int, request: Append) -> bool:
    """Whether the job has exactly these items at this place."""
    rows = transaction.execute(
        "SELECT custom_id, params FROM items WHERE job_key = ? AND idx >= ? ORDER BY idx LIMIT ?",
        (job_key, request.at, len(request.items)),
    ).fetchall()
    return rows == [(item.custom_id, _blob(item.params)) for item in request.items]


def _item_rows(job_key: int, at: int, items: list[ItemSpec], now_ms: int) -> Iterator[tuple[Any, ...]]:
    """Rows of _ITEM_COLUMNS; `at` is the index of the first."""
    for index, item in enumerate(items, start=at):
        yield job_key, index, item.custom_id, _blob(item.params), now_ms


def _job_row(transaction: Transaction, job_key: int, fingerprint: bytes, new: Submission) -> dict[str, Any]:
    request, placement = new.request, new.placement
    return {
        "job_key": job_key,
        "job_id": request.job_id,
        "fingerprint": fingerprint,
        "client": new.client,
        "name": request.name,
        "engine": request.engine,
        "model": placement.model,
        "recipe": placement.recipe,
        "template_key": _template_key(transaction, placement.template),
        "priority": request.priority.rank,
        "state": JobState.QUEUED.value,
        "params": _blob(request.params),
        "metadata": _blob(request.metadata),
        "on_interrupt": request.on_interrupt.value,
        "batch_size": request.batch_size,
        "max_attempts": request.max_attempts,
        "max_concurrency": request.max_concurrency,
        "timeout_s": request.timeout_s,
        "no_progress_s": request.no_progress_s,
        "total": len(request.items),
        "pending": len(request.items),
        "is_open": int(request.more),
        "created_ms": transaction.now_ms,
        "appended_ms": transaction.now_ms,
    }


def _lot_row(job_key: int, signature_id: int, request: Submit, now_ms: int) -> tuple[Any, ...]:
    rank, ready = request.priority.rank, len(request.items)
    return job_key, signature_id, rank, job_key, ready, request.max_concurrency or None, now_ms


def _as_accepted(new: Submission, now_ms: int) -> Job:
    """The job that its row says."""
    request, number = new.request, len(new.request.items)
    return Job(
        job_id=request.job_id,
        name=request.name,
        state=JobState.QUEUED,
        priority=request.priority,
        engine=request.engine,
        model=new.placement.model,
        client=new.client,
        items=ItemCounts(total=number, pending=number),
        created_at_ms=now_ms,
        is_open=request.more,
        metadata=UNSET if _blob(request.metadata) == EMPTY_MAP else request.metadata,
        recipe=new.placement.recipe,
        max_concurrency=request.max_concurrency,
    )


def _template_key(transaction: Transaction, template: bytes) -> int | None:
    """The row of a template; jobs of one recipe share it."""
    if not template:
        return None
    sha256 = hashlib.sha256(template).digest()
    transaction.execute("INSERT OR IGNORE INTO templates (sha256, body) VALUES (?, ?)", (sha256, template))
    return transaction.execute("SELECT template_key FROM templates WHERE sha256 = ?", (sha256,)).fetchone()[0]


def _signature_id(transaction: Transaction, signature: Signature) -> int:
    fields = (signature.engine, signature.residency, signature.merge)
    known = transaction.execute(
        "SELECT signature_id FROM signatures WHERE engine = ? AND residency = ? AND merge = ?", fields
    ).fetchone()
    if known is not None:
        return known[0]
    added = transaction.execute("INSERT INTO signatures (engine, residency, merge) VALUES (?, ?, ?)", fields).lastrowid
    assert added is not None  # an INSERT that did not raise has a row
    return added


def _blob(value: Raw | UnsetType) -> bytes:
    return EMPTY_MAP if value is UNSET else bytes(value)
