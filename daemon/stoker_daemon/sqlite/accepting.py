"""How a job comes in: once, whatever happens to the reply."""

from msgspec import UNSET, Raw, UnsetType

from stoker_daemon.jobs.records import Signature
from stoker_daemon.sqlite.rows import EMPTY_MAP, read_job
from stoker_daemon.sqlite.writer import Execute, Transaction
from stoker_protocol import codec
from stoker_protocol.errors import ErrorCode, Refused
from stoker_protocol.events import JobSubmitted, topic_of_job
from stoker_protocol.requests import Submit


def accept(
    transaction: Transaction, request: Submit, body: bytes, client: str, model: str, signature: Signature
) -> None:
    """Store a job with its items, or find that the very same was stored before.

    Raises:
        Refused: `conflict`: another job has this id, or had it.
    """
    fingerprint = codec.fingerprint(body)
    if is_known(transaction.execute, request.job_id, fingerprint):
        return
    job_key = _insert_job(transaction, request, fingerprint, client, model)
    transaction.executemany(
        "INSERT INTO items (job_key, idx, custom_id, params, added_ms) VALUES (?, ?, ?, ?, ?)",
        (
            (job_key, index, item.custom_id, _blob(item.params), transaction.now_ms)
            for index, item in enumerate(request.items)
        ),
    )
    transaction.execute(
        "INSERT INTO lots (job_key, signature_id, priority, place, ready) VALUES (?, ?, ?, ?, ?)",
        (job_key, _signature_id(transaction, signature), request.priority.rank, job_key, len(request.items)),
    )
    transaction.tell(
        topic_of_job(request.job_id), JobSubmitted(job=read_job(transaction.execute, job_key, with_metadata=True))
    )


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


def _insert_job(transaction: Transaction, request: Submit, fingerprint: bytes, client: str, model: str) -> int:
    row = {
        "job_id": request.job_id,
        "fingerprint": fingerprint,
        "client": client,
        "name": request.name,
        "engine": request.engine,
        "model": model,
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
        "created_ms": transaction.now_ms,
        "appended_ms": transaction.now_ms,
    }
    columns, marks = ", ".join(row), ", ".join(f":{column}" for column in row)
    job_key = transaction.execute(f"INSERT INTO jobs ({columns}) VALUES ({marks})", row).lastrowid
    assert job_key is not None  # an INSERT that did not raise has a row
    return job_key


def _signature_id(transaction: Transaction, signature: Signature) -> int:
    fields = (signature.engine, signature.residency, signature.merge)
    transaction.execute("INSERT OR IGNORE INTO signatures (engine, residency, merge) VALUES (?, ?, ?)", fields)
    return transaction.execute(
        "SELECT signature_id FROM signatures WHERE engine = ? AND residency = ? AND merge = ?", fields
    ).fetchone()[0]


def _blob(value: Raw | UnsetType) -> bytes:
    return EMPTY_MAP if value is UNSET else bytes(value)
