"""The one writer: a thread that commits waiting writes in groups, each group with one fsync."""

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple, TypeVar

import msgspec
import structlog

from stoker_daemon.jobs.records import Arrival, Commit, CommittedEvent, Stop
from stoker_daemon.ports import Clock
from stoker_daemon.sqlite.database import explain, refusal
from stoker_daemon.sqlite.inserting import insert
from stoker_protocol import codec
from stoker_protocol.errors import ErrorCode, Refused
from stoker_protocol.events import LifecycleEvent

MAX_GROUP = 256
"""Writes in one commit; more would only make the first of them wait longer."""

PROBE_S = 1.0
"""How often an idle writer looks whether the trouble with its disk has passed."""

CHECKPOINT_S = 5.0
"""How often a busy writer copies its log into the database: SQLite does so too, but keeps silent when it can't."""

_PART = (("SAVEPOINT one",), ("ROLLBACK TO one",), ("RELEASE one",))
_WHOLE = ((), ("ROLLBACK", "BEGIN IMMEDIATE"), ())
"""How a part of a transaction, or all of it, begins, is undone, and ends."""

_PREV = "SELECT coalesce((SELECT max(seq) FROM events WHERE thread = ?2), (SELECT min(seq) - 1 FROM events), ?1)"
"""The seq of the event before; ?1 is the head."""

_OF_THE_FILE = (sqlite3.OperationalError, sqlite3.DatabaseError)
"""Exactly these classes speak of the disk or the file, and concern the whole group; subclasses, of one write."""

T = TypeVar("T")
Order = TypeVar("Order")
Execute = Callable[..., sqlite3.Cursor]
"""`Connection.execute`, whichever connection it is."""


class Mark(NamedTuple):
    """How far a transaction was: the head, and what was noted of each kind."""

    head: int
    events: int
    stops: int
    arrivals: int


class Transaction:
    """What a write works with: the connection, one `now_ms` for all that it does, and a place to tell of it."""

    def __init__(self, connection: sqlite3.Connection, now_ms: int, head: int) -> None:
        self.now_ms = now_ms
        self.head = self._first_head = head
        self.events: list[CommittedEvent] = []
        self.stops: list[Stop] = []
        self.arrivals: list[Arrival] = []
        self.has_work = False
        self.has_ended = False
        self.execute = connection.execute
        self.executemany = connection.executemany
        self._last: dict[str, int] = {}

    def tell(self, thread: str, event: LifecycleEvent) -> None:
        """Have an event in the log as it will go out; `thread` is its topic up to and with the last slash.

        Where the one before it may have been removed, `prev` is the last that was: who has less has missed something.
        """
        prev = self._last.get(thread)
        if prev is None:
            (prev,) = self.execute(_PREV, (self._first_head, thread)).fetchone()
        self._log(thread, event, prev)

    def tell_first(self, told: Sequence[tuple[str, LifecycleEvent]]) -> None:
        """Have the first event of each of these threads in the log, as `tell` does it for one of any."""
        for thread, event in told:
            self._log(thread, event, prev=0)

    def finish(self) -> None:
        """Write the events, and the seq of the last since that may be removed some day; comes before the commit."""
        if self.events:
            rows = [(event.seq, _thread_of(event.topic), event.topic, event.body) for event in self.events]
            insert(self.execute, "events", "seq, thread, topic, body", rows)
            self.execute("UPDATE totals SET head = ?", (self.head,))

    def mark(self) -> Mark:
        """How far it is, to go `back_to` that."""
        return Mark(self.head, len(self.events), len(self.stops), len(self.arrivals))

    def back_to(self, mark: Mark) -> None:
        """Forget what was noted since."""
        self.head = mark.head
        del self.events[mark.events :], self.stops[mark.stops :], self.arrivals[mark.arrivals :]
        self._last = {_thread_of(event.topic): event.seq for event in self.events}

    def _log(self, thread: str, event: LifecycleEvent, prev: int) -> None:
        self.head += 1
        self._last[thread] = self.head
        numbered = msgspec.structs.replace(event, seq=self.head, prev=prev, at_ms=self.now_ms)
        topic = thread + str(event.__struct_config__.tag)
        self.events.append(CommittedEvent(self.head, topic, codec.encode(numbered)))


def _thread_of(topic: str) -> str:
    return topic[: topic.rindex("/") + 1]


log = structlog.get_logger()


@dataclass(slots=True)
class _Write:
    """One waiting write and what came of it."""

    work: Callable[[Transaction, Sequence[Any]], Any]
    order: Any
    future: "asyncio.Future[Any]"
    result: Any = None
    error: BaseException | None = field(default=None)


class Writer:
    """Owns the writing connection and its thread; `write` returns after the commit."""

    def __init__(self, connection: sqlite3.Connection, path: Path, clock: Clock) -> None:
        self._connection = connection
        self._path = path
        self._clock = clock
        self._gathered: list[_Write] = []
        self._waiting: SimpleQueue[list[_Write]] = SimpleQueue()
        self._is_closing = False
        self._thread = threading.Thread(target=self._run, name="stoker-writer")
        self._listeners: list[Callable[[Commit], None]] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self.trouble = ""
        """Why the last commit failed; empty when it did not."""
        self.stuck = ""
        """Why the log can't be copied into the database, so that it grows; empty when it can."""
        self.busy_since_s: float | None = None
        """Since when it is at a commit or a checkpoint, by the clock that never jumps; None while it waits for work."""
        self._checkpoint_due_s = clock.monotonic_s() + CHECKPOINT_S
        self.head: int = connection.execute("SELECT head FROM totals").fetchone()[0]

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
        return await self._enter(lambda transaction, _: work(transaction), None)

    async def write_alike(self, work: Callable[[Transaction, Sequence[Order]], None], order: Order) -> None:
        """Have `work` carry out `order`, in one call with what else waits for the same work; otherwise like `write`.

        What it refuses of several orders it is asked for again, one by one.
        """
        await self._enter(work, order)

    def close(self) -> None:
        """Commit what waits and end the thread."""
        self._hand_over()
        self._is_closing = True
        self._waiting.put([])
        if self._thread.is_alive():
            self._thread.join()
        self._connection.close()

    async def _enter(self, work: Callable[[Transaction, Sequence[Any]], Any], order: Any) -> Any:
        assert self._loop is not None, "the writer was not started"
        if self._is_closing:
            raise Refused(ErrorCode.SHUTTING_DOWN, "the daemon is stopping", hint="submit again when it is back")
        write = _Write(work, order, self._loop.create_future())
        if not self._gathered:
            self._loop.call_soon(self._hand_over)
        self._gathered.append(write)
        return await write.future

    def _hand_over(self) -> None:
        """Give the thread what one turn of the loop brought, at once: each waking of it costs more than a write."""
        if self._gathered:
            self._waiting.put(self._gathered)
            self._gathered = []

    def _run(self) -> None:
        assert self._loop is not None  # set by start
        while not (self._is_closing and self._waiting.empty()):
            writes = self._next_writes()
            self.busy_since_s = self._clock.monotonic_s()
            # Without a write there is a commit too: it looks whether a trouble has passed.
            for start in range(0, max(len(writes), 1), MAX_GROUP):
                group = writes[start : start + MAX_GROUP]
                self._loop.call_soon_threadsafe(self._deliver, group, self._commit(group))
                self._checkpoint()
            self.busy_since_s = None

    def _next_writes(self) -> list[_Write]:
        """What waits; nothing when it is over, or when it is time to look whether a trouble has passed."""
        writes: list[_Write] = []
        with suppress(Empty):
            writes += self._waiting.get(timeout=PROBE_S if self.trouble or self.stuck else None)
            while len(writes) < MAX_GROUP:
                writes += self._waiting.get_nowait()
        return writes

    def _commit(self, group: list[_Write]) -> Commit:
        transaction = Transaction(self._connection, self._clock.now_ms(), self.head)
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            if self.trouble:
                # Only a transaction that changes something proves that the disk takes it.
                self._connection.execute("INSERT OR REPLACE INTO meta VALUES ('trouble_ms', ?)", (transaction.now_ms,))
            calls = [list(alike) for _, alike in groupby(group, attrgetter("work"))]
            for alike in calls:
                self._attempt(alike, transaction, is_all=len(calls) == 1 and not self.trouble)
            if transaction.has_work and self._connection.execute("SELECT 1 FROM queue_pause").fetchone():
                transaction.has_work = False  # nobody need look: the end of the pause will say so again
            transaction.finish()
            began_s = self._clock.monotonic_s()
            self._connection.execute("COMMIT")
            sync_s = self._clock.monotonic_s() - began_s
        except sqlite3.Error as error:
            self._give_up(group, error)
            return Commit()
        if self.trouble:
            log.info("the queue can be stored again")
        self.trouble = ""
        self.head = transaction.head
        return Commit(
            tuple(transaction.events),
            tuple(transaction.stops),
            tuple(transaction.arrivals),
            has_work=transaction.has_work,
            has_ended=transaction.has_ended,
            sync_s=sync_s,
        )

    def _attempt(self, alike: list[_Write], transaction: Transaction, *, is_all: bool = False) -> None:
        """Do writes of the same work so that their failure leaves the others of the group as they are.

        Those that are all that the transaction has are undone with it, which saves a savepoint.
        """
        begin, undo, end = _WHOLE if is_all else _PART
        mark = transaction.mark()
        for statement in begin:
            transaction.execute(statement)
        failure: Exception | None = None
        try:
            alike[0].result = alike[0].work(transaction, [write.order for write in alike])
        except Exception as error:
            if type(error) in _OF_THE_FILE:
                raise
            failure = error
            for statement in undo:
                transaction.execute(statement)
            transaction.back_to(mark)
        for statement in end:
            transaction.execute(statement)
        if failure is None:
            return
        if len(alike) == 1:
            alike[0].error = failure
            return
        for write in alike:
            self._attempt([write], transaction)

    def _give_up(self, group: list[_Write], error: sqlite3.Error) -> None:
        """Nothing of the group was committed: say so to everyone in it."""
        if not self.trouble:
            log.error("the queue can't be stored; who submits is told to come again", why=explain(self._path, error))
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
