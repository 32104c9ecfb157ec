"""The one writer: a thread that commits waiting writes in groups, each group with one fsync."""

import asyncio
import sqlite3
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from stoker_daemon.jobs.records import Commit, CommittedEvent, Stop
from stoker_daemon.ports import Clock
from stoker_daemon.sqlite.database import explain, refusal
from stoker_protocol import codec
from stoker_protocol.errors import ErrorCode, Refused
from stoker_protocol.events import LifecycleEvent

MAX_GROUP = 256
"""Writes in one commit; more would only make the first of them wait longer."""

PROBE_S = 1.0
"""How often an idle writer looks whether the trouble with its disk has passed."""

CHECKPOINT_S = 5.0
"""How often a busy writer copies its log into the database: SQLite does so too, but keeps silent when it can't."""

_OF_THE_FILE = (sqlite3.OperationalError, sqlite3.DatabaseError)
"""Exactly these classes speak of the disk or the file, and concern the whole group; subclasses, of one write."""

T = TypeVar("T")
Execute = Callable[..., sqlite3.Cursor]
"""`Connection.execute`, whichever connection it is."""


class Transaction:
    """What a write works with: the connection, one `now_ms` for all that it does, and a place to tell of it."""

    def __init__(self, connection: sqlite3.Connection, now_ms: int, head: int) -> None:
        self.now_ms = now_ms
        self.head = head
        self.events: list[CommittedEvent] = []
        self.stops: list[Stop] = []
        self.has_work = False
        self.has_ended = False
        self.execute = connection.execute
        self.executemany = connection.executemany

    def tell(self, thread: str, event: LifecycleEvent) -> None:
        """Write an event to the log as it will go out; `thread` is its topic up to and with the last slash."""
        (prev,) = self.execute("SELECT coalesce(max(seq), 0) FROM events WHERE thread = ?", (thread,)).fetchone()
        self.head += 1
        topic = thread + str(event.__struct_config__.tag)
        numbered = msgspec.structs.replace(event, seq=self.head, prev=prev, at_ms=self.now_ms)
        body = codec.encode(numbered)
        self.execute(
            "INSERT INTO events (seq, thread, topic, body) VALUES (?, ?, ?, ?)", (self.head, thread, topic, body)
        )
        self.events.append(CommittedEvent(self.head, topic, body))


@dataclass(slots=True)
class _Write:
    """One waiting write and what came of it."""

    work: Callable[[Transaction], Any]
    future: "asyncio.Future[Any]"
    result: Any = None
    error: BaseException | None = field(default=None)


class Writer:
    """Owns the writing connection and its thread; `write` returns after the commit."""

    def __init__(self, connection: sqlite3.Connection, path: Path, clock: Clock) -> None:
        self._connection = connection
        self._path = path
        self._clock = clock
        self._waiting: deque[_Write] = deque()
        self._wake = threading.Condition()
        self._is_closing = False
        self._thread = threading.Thread(target=self._run, name="stoker-writer")
        self._listeners: list[Callable[[Commit], None]] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self.trouble = ""
        """Why the last commit failed; empty when it did not."""
        self.stuck = ""
        """Why the log can't be copied into the database, so that it grows; empty when it can."""
        self._checkpoint_due_s = clock.monotonic_s() + CHECKPOINT_S
        self.head: int = connection.execute(
            "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'events'), 0)"
        ).fetchone()[0]

    def start(self) -> None:
        """Begin to write; called on the loop that `write` will be awaited on."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    def subscribe(self, listener: Callable[[Commit], None]) -> None:
        """Call the listener on the loop after each commit that has something to tell."""
        self._listeners.append(listener)

    async def write(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` in a transaction and return its result after the commit.

        Raises:
            Refused: Whatever the work refused, with nothing changed; `shutting_down`; `storage_unavailable` or
                `internal`: no commit possible.
        """
        assert self._loop is not None, "the writer was not started"
        write = _Write(work, self._loop.create_future())
        with self._wake:
            if self._is_closing:
                raise Refused(ErrorCode.SHUTTING_DOWN, "the daemon is stopping", hint="submit again when it is back")
            self._waiting.append(write)
            self._wake.notify()
        return await write.future

    def close(self) -> None:
        """Commit what waits and end the thread."""
        with self._wake:
            self._is_closing = True
            self._wake.notify()
        if self._thread.is_alive():
            self._thread.join()
        self._connection.close()

    def _run(self) -> None:
        assert self._loop is not None  # set by start
        while (group := self._next_group()) or not self._is_closing:
            commit = self._commit(group)
            self._loop.call_soon_threadsafe(self._deliver, group, commit)
            self._checkpoint()

    def _next_group(self) -> list[_Write]:
        """What waits; nothing when it is over, or when it is time to look whether a trouble has passed."""
        patience_s = PROBE_S if self.trouble or self.stuck else None
        with self._wake:
            self._wake.wait_for(lambda: self._waiting or self._is_closing, patience_s)
            return [self._waiting.popleft() for _ in range(min(len(self._waiting), MAX_GROUP))]

    def _commit(self, group: list[_Write]) -> Commit:
        transaction = Transaction(self._connection, self._clock.now_ms(), self.head)
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            if self.trouble:
                # Only a transaction that changes something proves that the disk takes it.
                self._connection.execute("INSERT OR REPLACE INTO meta VALUES ('trouble_ms', ?)", (transaction.now_ms,))
            for write in group:
                self._attempt(write, transaction)
            if transaction.has_work and self._connection.execute("SELECT 1 FROM queue_pause").fetchone():
                transaction.has_work = False  # nobody need look: the end of the pause will say so again
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            self._give_up(group, error)
            return Commit()
        self.trouble = ""
        self.head = transaction.head
        return Commit(tuple(transaction.events), tuple(transaction.stops), transaction.has_work, transaction.has_ended)

    def _attempt(self, write: _Write, transaction: Transaction) -> None:
        """Do one write of a group so that its failure leaves the others as they are."""
        head, told, stops = transaction.head, len(transaction.events), len(transaction.stops)
        transaction.execute("SAVEPOINT one")
        try:
            write.result = write.work(transaction)
        except Exception as error:
            if type(error) in _OF_THE_FILE:
                raise
            write.error = error
            transaction.execute("ROLLBACK TO one")
            transaction.head = head
            del transaction.events[told:], transaction.stops[stops:]
        transaction.execute("RELEASE one")

    def _give_up(self, group: list[_Write], error: sqlite3.Error) -> None:
        """Nothing of the group was committed: say so to everyone in it."""
        self.trouble = explain(self._path, error)
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")
        for write in group:
            write.error = refusal(self._path, error)

    def _checkpoint(self) -> None:
        now_s = self._clock.monotonic_s()
        if now_s < self._checkpoint_due_s:
            return
        try:
            self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
            self.stuck = ""
        except sqlite3.Error as error:
            self.stuck = explain(self._path, error)
        self._checkpoint_due_s = now_s + (PROBE_S if self.stuck else CHECKPOINT_S)

    def _deliver(self, group: list[_Write], commit: Commit) -> None:
        for write in group:
            if write.future.done():
                continue
            if write.error is not None:
                write.future.set_exception(write.error)
            else:
                write.future.set_result(write.result)
        if commit.events or commit.stops or commit.has_work:
            for listener in self._listeners:
                listener(commit)
