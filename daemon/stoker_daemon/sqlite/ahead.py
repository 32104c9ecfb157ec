"""What a look ahead needs: the lots that wait, in the order that they are taken in."""

import sqlite3

from stoker_daemon.jobs.records import Signature, WaitingLot, WaitingLots
from stoker_daemon.sqlite.rows import PRIORITIES, job_key_of

MOST_LOTS = 20_000
"""Nobody looks further ahead: what comes meanwhile would change it."""


def read_waiting(connection: sqlite3.Connection) -> WaitingLots:
    """The lots of the queue, whether or not that is paused, up to a bound."""
    rows = connection.execute(
        "SELECT job_id, signature_id, signatures.engine, residency, merge, lots.priority, ready, batch_size, came_ms,"
        " max_concurrency, lots.client FROM lots JOIN jobs USING (job_key) JOIN signatures USING (signature_id)"
        " WHERE ready > 0 AND is_held = 0 ORDER BY signature_id, lots.priority, lots.client, place LIMIT ?",
        (MOST_LOTS + 1,),
    ).fetchall()
    lots = tuple(
        WaitingLot(job_id, number, Signature(engine, residency, merge), PRIORITIES[priority], *rest)
        for job_id, number, engine, residency, merge, priority, *rest in rows[:MOST_LOTS]
    )
    return WaitingLots(lots, is_whole=len(rows) <= MOST_LOTS)


def read_back_off_end(connection: sqlite3.Connection, job_id: str) -> int | None:
    """When the first back-off of a job ends. Raises Refused: `not_found`."""
    job_key = job_key_of(connection.execute, job_id)
    query = "SELECT min(not_before_ms) FROM items WHERE job_key = ? AND not_before_ms IS NOT NULL"
    return connection.execute(query, (job_key,)).fetchone()[0]
