"""Removes the rows of what is old: events, and jobs whose files are gone; at most a thousand rows at a time."""

from stoker_daemon.sqlite.writer import Transaction
from stoker_protocol.codec import unpack_map

EVENTS_AT_ONCE = 1_000
ITEMS_AT_ONCE = 1_000
ATTEMPTS_AT_ONCE = 500
"""With as many runs, at most, that have no other."""


def forget_some_events(transaction: Transaction, before_ms: int) -> int:
    """Remove the first events of the log as far as they are old; how many. Who asks for them is told of a gap."""
    rows = transaction.execute("SELECT seq, body FROM events ORDER BY seq LIMIT ?", (EVENTS_AT_ONCE,)).fetchall()
    old = [seq for seq, body in rows if unpack_map(body)["at_ms"] <= before_ms]
    if not old:
        return 0
    return transaction.execute("DELETE FROM events WHERE seq <= ?", (old[-1],)).rowcount


def forget_events_beyond(transaction: Transaction, most: int) -> int:
    """Remove the first events of the log as far as there are more than `most`; how many. Seqs have no holes."""
    (oldest,) = transaction.execute("SELECT coalesce(min(seq), ?) FROM events", (transaction.head + 1,)).fetchone()
    excess = transaction.head + 1 - oldest - most
    if excess <= 0:
        return 0
    return transaction.execute("DELETE FROM events WHERE seq < ?", (oldest + min(excess, EVENTS_AT_ONCE),)).rowcount


def forget_some_of_a_job(transaction: Transaction, before_ms: int) -> bool:
    """Go one step on with the removal of a job that ended until then and has no files; False: there is none.

    Its tombstone comes first, so that its id is not used again and nobody retries what is half gone.
    """
    row = transaction.execute(
        "SELECT job_key, job_id, fingerprint, state FROM jobs WHERE finished_ms <= ? AND outputs = 'removed'"
        " AND is_summed = 1 AND retrying IS NULL ORDER BY job_key LIMIT 1",
        (before_ms,),
    ).fetchone()
    if row is None:
        return False
    job_key, *tomb = row
    transaction.execute("INSERT OR IGNORE INTO tombstones VALUES (?, ?, ?, ?)", (*tomb, transaction.now_ms))
    if not _forget_some_attempts(transaction, job_key) and not _forget_some_items(transaction, job_key):
        transaction.execute("DELETE FROM lots WHERE job_key = ?", (job_key,))
        _forget_job(transaction, job_key)
    return True


def _forget_job(transaction: Transaction, job_key: int) -> None:
    """Remove the row of a job, and its template if it was the last one of it."""
    (template_key,) = transaction.execute(
        "DELETE FROM jobs WHERE job_key = ? RETURNING template_key", (job_key,)
    ).fetchone()
    transaction.execute(
        "DELETE FROM templates WHERE template_key = ?1 AND NOT EXISTS (SELECT 1 FROM jobs WHERE template_key = ?1)",
        (template_key,),
    )


def _forget_some_attempts(transaction: Transaction, job_key: int) -> int:
    rows = transaction.execute(
        "DELETE FROM attempts WHERE (run_id, position) IN"
        " (SELECT run_id, position FROM attempts WHERE job_key = ? LIMIT ?) RETURNING run_id",
        (job_key, ATTEMPTS_AT_ONCE),
    ).fetchall()
    transaction.executemany(
        "DELETE FROM runs WHERE run_id = ? AND NOT EXISTS (SELECT 1 FROM attempts WHERE attempts.run_id = runs.run_id)",
        sorted(set(rows)),
    )
    return len(rows)


def _forget_some_items(transaction: Transaction, job_key: int) -> int:
    return transaction.execute(
        "DELETE FROM items WHERE job_key = ?1 AND idx IN (SELECT idx FROM items WHERE job_key = ?1 LIMIT ?2)",
        (job_key, ITEMS_AT_ONCE),
    ).rowcount
