"""Inserts rows, many with one statement."""

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from itertools import chain, islice
from typing import Any

_AT_ONCE = (128, 64, 32, 16, 8, 4, 2, 1)
"""Rows of one statement: few sizes, so that SQLite keeps them all prepared, and few statements for any number."""


def insert(
    execute: Callable[[str, Sequence[Any]], object], table: str, columns: str, rows: Iterable[Sequence[Any]]
) -> None:
    """Insert rows, each with a value for each of the columns.

    With a statement for each row they would cost half as much again.
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
