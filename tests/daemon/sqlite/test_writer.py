"""Writes are committed in groups: what one refuses leaves the others, what the disk refuses leaves nothing."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, closing
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import pytest
from structlog.testing import capture_logs
from tests.daemon.sqlite.queues import ManualClock
from tests.fault.audit import connect

from stoker_daemon.jobs.records import Commit, Stop
from stoker_daemon.sqlite.database import FILE_NAME
from stoker_daemon.sqlite.migrating import open_database
from stoker_daemon.sqlite.writer import MAX_GROUP, Transaction, Writer
from stoker_protocol import codec
from stoker_protocol.errors import ErrorCode, Refused
from stoker_protocol.events import QueueResumed

LIMIT_S = 30.0
Work = Callable[[Transaction], Any]


class Rig:
    """A writer at work, what its commits told, and a gate that keeps it busy while more writes come."""

    def __init__(self, folder: Path) -> None:
        self.connection = open_database(folder)
        self.writer = Writer(self.connection, folder / FILE_NAME, ManualClock())
        self.commits: list[Commit] = []
        self.writer.subscribe(self.commits.append)

    async def together(self, *works: Work) -> list[Any]:
        """Have all of these in one group: results and refusals in their order."""
        return await self.together_of(*(partial(self.writer.write, work) for work in works))

    async def together_of(self, *calls: Callable[[], Coroutine[Any, Any, Any]]) -> list[Any]:
        """Have what these calls of the writer ask for in one group: results and refusals in their order."""
        gate, begun = threading.Event(), threading.Event()

        def hold(_: Transaction) -> None:
            begun.set()
            assert gate.wait(LIMIT_S)

        held = asyncio.create_task(self.writer.write(hold))
        await asyncio.to_thread(begun.wait, LIMIT_S)
        tasks = [asyncio.create_task(call()) for call in calls]
        await asyncio.sleep(0)
        gate.set()
        await held
        return await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def a_writer(folder: Path) -> AsyncGenerator[Rig]:
    """A writer that is closed at the end."""
    rig = Rig(folder)
    rig.writer.start()
    try:
        async with asyncio.timeout(LIMIT_S):
            yield rig
    finally:
        rig.writer.close()


def put(key: str) -> Work:
    """A write of one row and one event."""

    def work(transaction: Transaction) -> str:
        transaction.execute("INSERT INTO meta VALUES (?, 'x')", (key,))
        transaction.tell("queue/", QueueResumed(author=key))
        transaction.stops.append(Stop(key, "gpu", "tests"))
        return key

    return work


def put_and(key: str, end: Callable[[Transaction], NoReturn]) -> Work:
    """A write that fails after it has changed something."""

    def work(transaction: Transaction) -> None:
        put(key)(transaction)
        end(transaction)

    return work


def refuse(_: Transaction) -> NoReturn:
    """As a verb refuses."""
    raise Refused(ErrorCode.CONFLICT, "no")


def violate(transaction: Transaction) -> NoReturn:
    """As a bug that the database stops."""
    transaction.execute("INSERT INTO queue_pause VALUES (2, 'reason', 'author', 0)")
    raise AssertionError("the database took nonsense")


def break_disk(_: Transaction) -> NoReturn:
    """As a disk that gives up."""
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR
    raise error


def damage(_: Transaction) -> NoReturn:
    """As a file with a torn page."""
    raise sqlite3.DatabaseError("database disk image is malformed")


def keys(folder: Path) -> list[str]:
    """The rows that are on disk, as another connection sees them."""
    with closing(connect(folder)) as connection:
        return [key for (key,) in connection.execute("SELECT key FROM meta WHERE value = 'x' ORDER BY rowid")]


def run(coroutine: Coroutine[Any, Any, None]) -> None:
    """Run a test's own loop."""
    asyncio.run(coroutine)


def test_result_comes_after_the_commit(tmp_path: Path) -> None:
    """We expect a write to be on disk when its result is there, and its event to be told then."""

    async def test() -> None:
        async with a_writer(tmp_path) as rig:
            for number, key in enumerate("abc", start=1):
                assert await rig.writer.write(put(key)) == key
                assert keys(tmp_path) == list("abc")[:number]
                assert rig.writer.head == number
                assert [commit.events[0].seq for commit in rig.commits] == [*range(1, number + 1)]

    run(test())


def test_group_is_one_commit(tmp_path: Path) -> None:
    """We expect writes that wait together to be committed together, in their order."""

    async def test() -> None:
        async with a_writer(tmp_path) as rig:
            wanted = [f"{number:03}" for number in range(MAX_GROUP + 10)]
            assert await rig.together(*map(put, wanted)) == wanted
            assert [len(commit.events) for commit in rig.commits] == [MAX_GROUP, 10]
            assert keys(tmp_path) == wanted

    run(test())


def put_all(calls: list[list[str]], bad: str = "") -> Callable[[Transaction, Sequence[str]], None]:
    """A work that puts several keys at once, unless a bad one is among them."""

    def work(transaction: Transaction, wanted: Sequence[str]) -> None:
        calls.append(list(wanted))
        for key in wanted:
            put(key)(transaction)
        if bad in wanted:
            refuse(transaction)

    return work


def test_alike_writes_are_one_call(tmp_path: Path) -> None:
    """We expect the work to be called once for all orders that follow each other, and again for those after another."""

    async def test() -> None:
        async with a_writer(tmp_path) as rig:
            calls: list[list[str]] = []
            work = put_all(calls)
            orders = [lambda key=key: rig.writer.write_alike(work, key) for key in "abc"]
            await rig.together_of(
                *orders, lambda: rig.writer.write(put("d")), lambda: rig.writer.write_alike(work, "e")
            )
            assert calls == [["a", "b", "c"], ["e"]]
            assert keys(tmp_path) == ["a", "b", "c", "d", "e"]
            assert [len(commit.events) for commit in rig.commits] == [5]

    run(test())


def test_refused_order_leaves_the_others(tmp_path: Path) -> None:
    """We expect a work that refuses several orders to be asked for each alone, and only the bad one to be refused."""

    async def test() -> None:
        async with a_writer(tmp_path) as rig:
            calls: list[list[str]] = []
            work = put_all(calls, bad="b")
            first, bad, last = await rig.together_of(
                *(lambda key=key: rig.writer.write_alike(work, key) for key in "abc")
            )
            assert (first, last) == (None, None)
            assert isinstance(bad, Refused)
            assert calls == [["a", "b", "c"], ["a"], ["b"], ["c"]]
            assert keys(tmp_path) == ["a", "c"]
            (commit,) = rig.commits
            assert [(event.seq, event.prev) for event in map(codec.decode_event, (e.body for e in commit.events))] == [
                (1, 0),
                (2, 1),
            ]
            assert [stop.run_id for stop in commit.stops] == ["a", "c"]

    run(test())


@pytest.mark.parametrize(("end", "error"), [(refuse, Refused), (violate, sqlite3.IntegrityError)])
def test_refused_write_leaves_the_others(tmp_path: Path, end: Any, error: type[Exception]) -> None:
    """We expect what one write of a group had done to be undone, its event too, and the others to be whole."""

    async def test() -> None:
        async with a_writer(tmp_path) as rig:
            first, bad, last = await rig.together(put("first"), put_and("bad", end), put("last"))
            assert (first, last) == ("first", "last")
            assert isinstance(bad, error)
            assert keys(tmp_path) == ["first", "last"]
            (commit,) = rig.commits
            events = [codec.decode_event(event.body) for event in commit.events]
            assert [(event.seq, event.prev) for event in events] == [(1, 0), (2, 1)]
            assert [stop.run_id for stop in commit.stops] == ["first", "last"]
            assert rig.writer.trouble == ""

    run(test())


@pytest.mark.parametrize(
    ("end", "code", "said"),
    [(break_disk, ErrorCode.STORAGE_UNAVAILABLE, "the disk failed"), (damage, ErrorCode.INTERNAL, "is damaged")],
)
def test_failing_disk_fails_the_group(tmp_path: Path, end: Any, code: ErrorCode, said: str) -> None:
    """We expect nothing of the group to be stored, all of it refused with the reason, and the next one to go well."""

    async def test() -> None:
        async with a_writer(tmp_path) as rig:
            await rig.writer.write(put("before"))
            with capture_logs() as told:
                refused = await rig.together(put("first"), put_and("bad", end), put("last"))
            assert all(isinstance(one, Refused) and one.code is code and said in one.message for one in refused)
            assert said in rig.writer.trouble
            assert str(tmp_path / FILE_NAME) in rig.writer.trouble
            with capture_logs() as told_then:
                assert await rig.writer.write(put("after")) == "after"
            assert [(line["log_level"], said in line.get("why", "")) for line in told] == [("error", True)]
            assert [(line["log_level"], line["event"]) for line in told_then] == [
                ("info", "the queue can be stored again")
            ]
            assert rig.writer.trouble == ""
            assert keys(tmp_path) == ["before", "after"]
            assert [commit.events[0].seq for commit in rig.commits] == [1, 2]

    run(test())


def test_failing_commit_fails_the_group(tmp_path: Path) -> None:
    """We expect a commit that can't be made for somebody else's lock to leave nothing, and the writer to recover."""

    async def test() -> None:
        async with a_writer(tmp_path) as rig:
            rig.connection.execute("PRAGMA busy_timeout=10")
            with closing(sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                with pytest.raises(Refused) as refused:
                    await rig.writer.write(put("a"))
                other.execute("ROLLBACK")
            assert refused.value.retry_after_s
            assert await rig.writer.write(put("b")) == "b"
            assert keys(tmp_path) == ["b"]

    run(test())


def test_close_commits_what_waits(tmp_path: Path) -> None:
    """We expect writes that were taken to be on disk after the close, and later ones to be refused."""

    async def test() -> None:
        rig = Rig(tmp_path)
        rig.writer.start()
        tasks = [asyncio.create_task(rig.writer.write(put(key))) for key in "abc"]
        await asyncio.sleep(0)
        rig.writer.close()
        assert await asyncio.gather(*tasks) == ["a", "b", "c"]
        assert keys(tmp_path) == ["a", "b", "c"]
        with pytest.raises(Refused) as refused:
            await rig.writer.write(put("late"))
        assert refused.value.code is ErrorCode.SHUTTING_DOWN

    run(test())


def test_events_of_a_refused_write_are_no_links(tmp_path: Path) -> None:
    """We expect events that share a commit with those of a refused write to chain as if that had not been."""

    async def test() -> None:
        async with a_writer(tmp_path) as rig:
            writes = (put("a"), put_and("b", refuse), put("c"))
            await asyncio.gather(*map(rig.writer.write, writes), return_exceptions=True)
        with closing(connect(tmp_path)) as connection:
            rows = connection.execute("SELECT seq, body FROM events ORDER BY seq").fetchall()
        assert [(seq, codec.decode_event(body).prev) for seq, body in rows] == [(1, 0), (2, 1)]

    run(test())


def test_events_chain_along_their_threads(tmp_path: Path) -> None:
    """We expect `seq` to be one line over all topics, and `prev` to lead along each one, over a restart too."""

    def tell(*threads: str) -> Work:
        def work(transaction: Transaction) -> None:
            for thread in threads:
                transaction.tell(thread, QueueResumed(author="x"))

        return work

    async def test() -> None:
        async with a_writer(tmp_path) as rig:
            await rig.writer.write(tell("job/a/", "job/b/", "job/a/"))
            await rig.writer.write(tell("queue/", "job/b/"))
        async with a_writer(tmp_path) as rig:
            assert rig.writer.head == 5
            await rig.writer.write(tell("job/a/", "lane/gpu/"))
        with closing(connect(tmp_path)) as connection:
            rows = connection.execute("SELECT seq, topic, body FROM events ORDER BY seq").fetchall()
        assert [(seq, topic, codec.decode_event(body).prev) for seq, topic, body in rows] == [
            (1, "job/a/queue_resumed", 0),
            (2, "job/b/queue_resumed", 0),
            (3, "job/a/queue_resumed", 1),
            (4, "queue/queue_resumed", 0),
            (5, "job/b/queue_resumed", 2),
            (6, "job/a/queue_resumed", 3),
            (7, "lane/gpu/queue_resumed", 0),
        ]

    run(test())
