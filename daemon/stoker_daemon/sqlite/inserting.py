"""Inserts rows, many with one statement."""

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from itertools import chain, islice
from typing import Any

_AT_ONCE = (32, 8, 1)
"""Rows of one statement: few sizes, so that SQLite keeps them all prepared."""


def insert(
    execute: Callable[[str, Sequence[Any]], object], table: str, columns: str, rows: Iterable[Sequence[Any]]
) -> None:
    """Insert rows, each with a value for each of the columns.

    What a CHECK compares with is built anew for each statement, which costs as much as storing a row.
    """
    left = iter(rows)
    while some := list(islice(left, _AT_ONCE[0])):
        for number in _AT_ONCE:
            while len(some) >= number:
                execute(_statement(table, columns, number), tuple(chain.from_iterable(some[:number])))
                del some[:number]


@cache
def _statement(table: str, columns: str, number: int) -> str:
    row = f"({', '.join('?' * len(columns.split(',')))})"
    return f"INSERT INTO {table} ({columns}) VALUES {', '.join([row] * number)}"
