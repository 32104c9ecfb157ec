"""How much a socket may take of one turn of the loop."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
import zmq
from tests.daemon.zmq.rig import until

from stoker_daemon.zmq.reader import FRAME_COST, TURN, Reader


@asynccontextmanager
async def _sockets(*kinds: int) -> AsyncGenerator[list[zmq.Socket[bytes]], None]:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    yield [context.socket(kind) for kind in kinds]
    context.destroy(linger=0)


@pytest.mark.parametrize(("count", "size", "most"), [(2000, 1, TURN // FRAME_COST), (8, 600 << 10, 2)])
def test_turns_are_bounded(count: int, size: int, most: int) -> None:
    """A flood is taken in turns of bounded frames and bytes, between which the loop does other work."""

    async def scenario() -> None:
        async with _sockets(zmq.PULL, zmq.PUSH) as (pull, push):
            pull.set(zmq.RCVHWM, 0)
            push.set(zmq.SNDHWM, 0)
            pull.bind("inproc://flood")
            push.connect("inproc://flood")
            for _ in range(count):
                push.send(bytes(size))
            turn, taken = 0, Counter[int]()
            reader = Reader(pull, lambda _frame: taken.update([turn]))
            reader.start()
            while taken.total() < count:
                turn += 1
                await asyncio.sleep(0)
            reader.stop()
            assert taken.total() == count
            assert max(taken.values()) <= most

    asyncio.run(asyncio.wait_for(scenario(), 60))


def test_check_finds_what_a_send_used_up() -> None:
    """A message whose signal was used up by another call on the socket is read after `check`."""

    async def scenario() -> None:
        async with _sockets(zmq.PAIR, zmq.PAIR) as (ours, theirs):
            ours.bind("inproc://pair")
            theirs.connect("inproc://pair")
            got: list[bytes] = []
            reader = Reader(ours, lambda frame: got.append(frame.bytes))
            reader.start()
            await asyncio.sleep(0.01)
            theirs.send(b"x")
            ours.get(zmq.EVENTS)
            await asyncio.sleep(0.01)
            assert got == []
            reader.check()
            await until(lambda: got == [b"x"])
            reader.stop()

    asyncio.run(scenario())


def test_stopped_reader_takes_nothing() -> None:
    """What arrives while a reader is stopped is read when it starts again, even if it was stopped in mid-turn."""

    async def scenario() -> None:
        async with _sockets(zmq.PAIR, zmq.PAIR) as (ours, theirs):
            ours.bind("inproc://pair")
            theirs.connect("inproc://pair")
            got: list[bytes] = []

            def take(frame: zmq.Frame) -> None:
                got.append(frame.bytes)
                reader.stop()

            reader = Reader(ours, take)
            for body in (b"1", b"2", b"3"):
                theirs.send(body)
            for count in (1, 2, 3):
                reader.start()
                await until(lambda count=count: len(got) == count)
                await asyncio.sleep(0.01)
                assert len(got) == count
            assert got == [b"1", b"2", b"3"]

    asyncio.run(scenario())
