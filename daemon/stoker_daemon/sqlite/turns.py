"""Keeps what waits by client where clients take turns, else all of it together."""

import sqlite3


def keep_by_client(connection: sqlite3.Connection, *, by_client: bool) -> None:
    """Have the queue kept so from now on; what waits already is gathered anew if it was kept otherwise."""
    if connection.execute("SELECT by_client FROM totals").fetchone()[0] == by_client:
        return
    connection.execute("BEGIN IMMEDIATE")
    connection.execute(
        "UPDATE lots SET client = iif(?, (SELECT client FROM jobs WHERE jobs.job_key = lots.job_key), '')", (by_client,)
    )
    connection.execute("UPDATE totals SET by_client = ?", (by_client,))
    connection.execute("COMMIT")
