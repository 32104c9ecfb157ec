"""How a job comes in: once, whatever happens to the reply."""

import hashlib

from msgspec import UNSET, Raw, UnsetType

from stoker_daemon.jobs.records import OpenJob, Placement, Signature
from stoker_daemon.sqlite.controlling import wake_idle
from stoker_daemon.sqlite.rows import EMPTY_MAP, job_key_of, move_items, move_ready, read_job
from stoker_daemon.sqlite.writer import Execute, Transaction
from stoker_protocol import codec
from stoker_protocol.errors import ErrorCode, Refused
from stoker_protocol.events import JobAppended, JobSealed, JobSubmitted, topic_of_job
from stoker_protocol.jobs import Job
from stoker_protocol.replies import Appended, Sealed
from stoker_protocol.requests import Append, ItemSpec, Submit

QUEUE_FULL_RETRY_S = 2.0
"""When to try again to add to a full queue."""


def accept(
    transaction: Transaction,
    request: Submit,
    body: bytes,
    client: str,
    placement: Placement,
    max_pending: int,
) -> None:
    """Store a job with its items, or find that the very same was stored before.

    Raises:
        Refused: `conflict`: another job has this id, or had it; `queue_full`: more than `max_pending` items wait.
    """
    fingerprint = codec.fingerprint(body)
    if is_known(transaction.execute, request.job_id, fingerprint):
        return
    _check_room(transaction, len(request.items), max_pending)
    job_key = _insert_job(transaction, request, fingerprint, client, placement)
    _insert_items(transaction, job_key, 0, request.items)
    transaction.execute(
        "INSERT INTO lots (job_key, signature_id, priority, place, ready) VALUES (?, ?, ?, ?, ?)",
        (job_key, _signature_id(transaction, placement.signature), request.priority.rank, job_key, len(request.items)),
    )
    transaction.has_work = True
    transaction.tell(
        topic_of_job(request.job_id), JobSubmitted(job=read_job(transaction.execute, job_key, with_metadata=True))
    )


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
    _check_room(transaction, len(request.items), max_pending)
    _insert_items(transaction, job_key, request.at, request.items)
    move_ready(transaction, job_key, len(request.items))
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
    row = execute(
        "SELECT fingerprint FROM jobs WHERE job_id = :id"
        " UNION ALL SELECT fingerprint FROM tombstones WHERE job_id = :id",
        {"id": job_id},
    ).fetchone()
    if row is not None and row[0] != fingerprint:
        raise Refused(
            ErrorCode.CONFLICT,
            f"another job has the id {job_id!r}",
            field="job_id",
            hint="use a new job_id, or send exactly what was sent before",
        )
    return row is not None


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


def _check_room(transaction: Transaction, number: int, max_pending: int) -> None:
    (pending,) = transaction.execute("SELECT pending FROM totals").fetchone()
    if pending + number > max_pending:
        raise Refused(
            ErrorCode.QUEUE_FULL,
            f"{pending} items wait already",
            hint=f"at most {max_pending}; go on when some are done",
            retry_after_s=QUEUE_FULL_RETRY_S,
        )


def _are_there(transaction: Transaction, job_key: int, request: Append) -> bool:
    """Whether the job has exactly these items at this place."""
    rows = transaction.execute(
        "SELECT custom_id, params FROM items WHERE job_key = ? AND idx >= ? ORDER BY idx LIMIT ?",
        (job_key, request.at, len(request.items)),
    ).fetchall()
    return rows == [(item.custom_id, _blob(item.params)) for item in request.items]


def _insert_items(transaction: Transaction, job_key: int, at: int, items: list[ItemSpec]) -> None:
    transaction.executemany(
        "INSERT INTO items (job_key, idx, custom_id, params, added_ms) VALUES (?, ?, ?, ?, ?)",
        (
            (job_key, index, item.custom_id, _blob(item.params), transaction.now_ms)
            for index, item in enumerate(items, start=at)
        ),
    )


def _insert_job(
    transaction: Transaction, request: Submit, fingerprint: bytes, client: str, placement: Placement
) -> int:
    row = {
        "job_id": request.job_id,
        "fingerprint": fingerprint,
        "client": client,
        "name": request.name,
        "engine": request.engine,
        "model": placement.model,
        "recipe": placement.recipe,
        "template_key": _template_key(transaction, placement.template),
        "priority": request.priority.rank,
        "state": "queued",
        "params": _blob(request.params),
        "metadata": _blob(request.metadata),
        "on_interrupt": request.on_interrupt.value,
        "batch_size": request.batch_size,
        "max_attempts": request.max_attempts,
        "timeout_s": request.timeout_s,
        "no_progress_s": request.no_progress_s,
        "total": len(request.items),
        "pending": len(request.items),
        "is_open": int(request.more),
        "created_ms": transaction.now_ms,
        "appended_ms": transaction.now_ms,
    }
    columns, marks = ", ".join(row), ", ".join(f":{column}" for column in row)
    job_key = transaction.execute(f"INSERT INTO jobs ({columns}) VALUES ({marks})", row).lastrowid
    assert job_key is not None  # an INSERT that did not raise has a row
    return job_key


def _template_key(transaction: Transaction, template: bytes) -> int | None:
    """The row of a template; jobs of one recipe share it."""
    if not template:
        return None
    sha256 = hashlib.sha256(template).digest()
    transaction.execute("INSERT OR IGNORE INTO templates (sha256, body) VALUES (?, ?)", (sha256, template))
    return transaction.execute("SELECT template_key FROM templates WHERE sha256 = ?", (sha256,)).fetchone()[0]


def _signature_id(transaction: Transaction, signature: Signature) -> int:
    fields = (signature.engine, signature.residency, signature.merge)
    transaction.execute("INSERT OR IGNORE INTO signatures (engine, residency, merge) VALUES (?, ?, ?)", fields)
    return transaction.execute(
        "SELECT signature_id FROM signatures WHERE engine = ? AND residency = ? AND merge = ?", fields
    ).fetchone()[0]


def _blob(value: Raw | UnsetType) -> bytes:
    return EMPTY_MAP if value is UNSET else bytes(value)
