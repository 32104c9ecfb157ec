"""Reads: a query-only connection on a thread of its own, each read one consistent view."""

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from stoker_daemon.sqlite.database import connect, refusal

T = TypeVar("T")


class Reader:
    """Owns the reading connection and its thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection = connect(path, query_only=True)
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="stoker-reader")

    async def read(self, query: Callable[[sqlite3.Connection], T]) -> T:
        """Run a query that sees the database as of one moment.

        Raises:
            Refused: What the query refused; `storage_unavailable` or `internal`: the database can't be read.
        """
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, self._view, query)
        except sqlite3.Error as error:
            raise refusal(self._path, error) from error

    def close(self) -> None:
        """End the thread after the read at work."""
        self._executor.shutdown(wait=True, cancel_futures=True)
        self._connection.close()

    def _view(self, query: Callable[[sqlite3.Connection], T]) -> T:
        self._connection.execute("BEGIN")
        try:
            return query(self._connection)
        finally:
            if self._connection.in_transaction:  # an error of the disk has ended it already
                self._connection.execute("ROLLBACK")
