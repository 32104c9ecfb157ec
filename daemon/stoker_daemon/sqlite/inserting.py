"""Inserts rows, many with one statement."""

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from itertools import chain, islice
from typing import Any

from stoker_daemon.turns import give_way

ROWS_A_TURN = 512
"""Rows after which others go first."""
_AT_ONCE = 128
"""Rows of one statement at most, and else a power of two: few statements for any number, all of which stay prepared."""


def insert(
    execute: Callable[[str, Sequence[Any]], object], table: str, columns: str, rows: Iterable[Sequence[Any]]
) -> None:
    """Insert rows, each with a value for each of the columns.

    With a statement for each row they would cost half as much again.
    """
    left = iter(rows)
    inserted = 0
    while some := list(islice(left, _AT_ONCE)):
        if inserted and inserted % ROWS_A_TURN == 0:
            give_way()
        inserted += len(some)
        while some:
            number = 1 << len(some).bit_length() - 1
            execute(_statement(table, columns, number), tuple(chain.from_iterable(some[:number])))
            del some[:number]


@cache
def _statement(table: str, columns: str, number: int) -> str:
    row = f"({', '.join('?' * len(columns.split(',')))})"
    return f"INSERT INTO {table} ({columns}) VALUES {', '.join([row] * number)}"
