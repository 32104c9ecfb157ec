"""What a look ahead needs: the lots that wait, in the order that they are taken in."""

import sqlite3
from dataclasses import replace
from itertools import groupby

from stoker_daemon.jobs.records import Signature, WaitingLot, WaitingLots
from stoker_daemon.sqlite.likeness import likeness
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


def read_alike(connection: sqlite3.Connection) -> WaitingLots:
    """The same, each lot cut where one item differs from the last in more than the seed."""
    waiting = read_waiting(connection)
    lots: list[WaitingLot] = []
    items = 0
    for lot in waiting.lots:
        if items >= MOST_LOTS:
            return WaitingLots(tuple(lots), is_whole=False)
        own = _likenesses(connection, lot.job_id)
        items += len(own)
        lots += [replace(lot, items=len(list(each)), likeness=alike) for alike, each in groupby(own)]
    return WaitingLots(tuple(lots), waiting.is_whole)


def _likenesses(connection: sqlite3.Connection, job_id: str) -> list[str]:
    """Of each ready item of a job, in order."""
    job_key, shared, template = connection.execute(
        "SELECT job_key, params, body FROM jobs LEFT JOIN templates USING (template_key) WHERE job_id = ?", (job_id,)
    ).fetchone()
    own = connection.execute(
        "SELECT params FROM items INDEXED BY items_ready"
        " WHERE job_key = ? AND state = 'pending' AND not_before_ms IS NULL ORDER BY idx LIMIT ?",
        (job_key, MOST_LOTS),
    )
    return [likeness(template, shared, params) for (params,) in own]


def read_back_off_end(connection: sqlite3.Connection, job_id: str) -> int | None:
    """When the first back-off of a job ends. Raises Refused: `not_found`."""
    job_key = job_key_of(connection.execute, job_id)
    query = "SELECT min(not_before_ms) FROM items WHERE job_key = ? AND not_before_ms IS NOT NULL"
    return connection.execute(query, (job_key,)).fetchone()[0]
