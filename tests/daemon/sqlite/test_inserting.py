"""Tests of inserting many rows."""

import sqlite3

import pytest

from stoker_daemon.sqlite import inserting
from stoker_daemon.sqlite.inserting import ROWS_A_TURN, insert


@pytest.mark.parametrize(
    ("rows", "times"),
    [(0, 0), (1, 0), (127, 0), (129, 0), (ROWS_A_TURN, 0), (ROWS_A_TURN + 1, 1), (3 * ROWS_A_TURN + 5, 3)],
)
def test_others_beside_many_rows(rows: int, times: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any number of rows is inserted in order, and others go first between each 512 of them."""
    given_way: list[None] = []
    monkeypatch.setattr(inserting, "give_way", lambda: given_way.append(None))
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE numbers (number INTEGER, square INTEGER)")
    insert(connection.execute, "numbers", "number, square", ((n, n * n) for n in range(rows)))
    stored = connection.execute("SELECT number, square FROM numbers ORDER BY rowid").fetchall()
    connection.close()
    assert stored == [(n, n * n) for n in range(rows)]
    assert len(given_way) == times
