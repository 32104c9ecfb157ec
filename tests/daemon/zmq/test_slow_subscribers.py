"""Subscribers that don't read, while large previews are made: what that costs the daemon, and the others."""

import asyncio
import os
import socket
from contextlib import suppress
from pathlib import Path

import pytest
from tests.daemon.zmq.rig import FakeClock, Subscriber, clients, publishing, until
from tests.system.hostile import frame, greet, last_words, resident_mib
from tests.worker.processes import wait_for

from stoker_daemon.jobs.records import Commit, CommittedEvent
from stoker_daemon.zmq.backlog import LARGE, MAX_WAITING
from stoker_daemon.zmq.publisher import Publisher
from stoker_daemon.zmq.subscribers import PATIENCE, is_behind
from stoker_protocol import codec
from stoker_protocol.events import Preview, QueueResumed

IMAGE = bytes(200 << 10)
MANY = 5_000


def _announce(publisher: Publisher, number: int, image: bytes = IMAGE) -> None:
    """A preview, each of another job, so that none waits for its pace."""
    job_id = f"job-{number}"
    preview = Preview(job_id=job_id, index=0, step=1, steps=2, media_type="image/png", image=image)
    publisher.announce(f"preview/{job_id}/preview", preview)


def _commit(publisher: Publisher, seq: int, author: str = "") -> None:
    body = codec.encode(QueueResumed(seq=seq, prev=seq - 1, author=author))
    publisher.committed(Commit(events=(CommittedEvent(seq, "queue/queue_resumed", body),)))


async def _who_does_not_read(publisher: Publisher, *topics: bytes) -> socket.socket:
    """A connection that subscribes and then reads nothing."""
    peer = await asyncio.to_thread(greet, publisher.endpoints[0], b"SUB")
    peer.sendall(b"".join(frame(b"\1" + topic) for topic in topics))
    return peer


async def _second_by_second(publisher: Publisher, clock: FakeClock, seconds: int) -> None:
    for _ in range(seconds):
        clock.seconds += 1
        publisher._pulse()
        await asyncio.sleep(0.01)  # libzmq notices what was done to its connections


def test_who_reads_nothing_costs_little() -> None:
    """We expect thousands of large previews for subscribers that stopped reading to cost a bounded amount of memory.

    Who reads on misses no lifecycle event.
    """

    async def scenario() -> None:
        async with publishing(FakeClock()) as publisher, clients() as context:
            reads = Subscriber.connect(context, publisher)
            await reads.join("queue/")
            peers = [await _who_does_not_read(publisher, b"preview/", b"queue/") for _ in range(3)]
            await until(lambda: publisher._watched[b"preview/"] == len(peers))
            before_mib = resident_mib(os.getpid())
            for number in range(MANY):
                _announce(publisher, number)
                if number % 100 == 0:
                    _commit(publisher, 1 + number // 100)
                    assert (await reads.receive())[1].seq == 1 + number // 100
            assert resident_mib(os.getpid()) - before_mib < 2 * MAX_WAITING >> 20
            for peer in peers:
                peer.close()

    asyncio.run(scenario())


def test_who_does_not_keep_up_is_let_go() -> None:
    """We expect the connection of who reads nothing to end after some seconds, and others to see previews again.

    It ends only while previews are held back for it: before, and for others, nothing happens.
    """

    async def scenario() -> None:
        clock = FakeClock()
        async with publishing(clock) as publisher, clients() as context:
            stuck = await _who_does_not_read(publisher, b"preview/")
            await until(lambda: publisher._watched[b"preview/"] == 1)
            number = 0
            while publisher._backlog.has_room():
                _announce(publisher, number := number + 1)
                if number == 100:
                    await _second_by_second(publisher, clock, 2 * PATIENCE)
                    assert publisher._watched[b"preview/"] == 1
            reads = Subscriber.connect(context, publisher)
            await reads.join("preview/job-last/")
            await _second_by_second(publisher, clock, PATIENCE - 1)
            assert not publisher._backlog.has_room()
            await _second_by_second(publisher, clock, 1)
            await asyncio.to_thread(last_words, stuck)
            await until(publisher._backlog.has_room)
            preview = Preview(job_id="job-last", index=0, step=1, steps=2, media_type="image/png", image=IMAGE)
            publisher.announce("preview/job-last/preview", preview)
            assert (await reads.receive())[0] == "preview/job-last/preview"
            stuck.close()

    asyncio.run(scenario())


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_UNIX])
def test_who_is_behind(family: socket.AddressFamily, tmp_path: Path) -> None:
    """We expect a connection to be behind while its other side takes nothing more, and not once that has read all."""
    address = ("127.0.0.1", 0) if family is socket.AF_INET else str(tmp_path / "socket")
    with socket.socket(family) as listener:
        listener.bind(address)
        listener.listen()
        with socket.socket(family) as near:
            near.connect(listener.getsockname())
            far, _ = listener.accept()
            with far:
                assert not is_behind(near.fileno())
                near.setblocking(False)
                sent = 0
                with suppress(BlockingIOError):
                    while True:
                        sent += near.send(IMAGE)
                assert is_behind(near.fileno())
                while sent:
                    sent -= len(far.recv(sent))
                wait_for(lambda: not is_behind(near.fileno()))


def test_large_lifecycle_events_are_never_left_out() -> None:
    """We expect lifecycle events to be sent however much waits already, and a subscriber that reads late to get all."""

    async def scenario() -> None:
        async with publishing(FakeClock()) as publisher, clients() as context:
            late = Subscriber.connect(context, publisher, rcvhwm=1)
            await late.join("queue/")
            count = 3 * MAX_WAITING // (8 * LARGE)
            for seq in range(1, count + 1):
                _commit(publisher, seq, author="x" * 8 * LARGE)
            assert not publisher._backlog.has_room()
            assert [(await late.receive())[1].seq for _ in range(count)] == [*range(1, count + 1)]
            await until(publisher._backlog.has_room)

    asyncio.run(scenario())


@pytest.mark.parametrize("transport", ["tcp", "ipc"])
def test_small_previews_count_too(transport: str, tmp_path: Path) -> None:
    """We expect the number of small previews that wait for who reads nothing to be bounded, over TCP and IPC."""

    async def scenario() -> None:
        endpoint = "tcp://127.0.0.1:0" if transport == "tcp" else f"ipc://{tmp_path}/events"
        async with publishing(FakeClock(), [endpoint]) as publisher, clients() as context:
            reads = Subscriber.connect(context, publisher, rcvhwm=1)
            await reads.join("preview/")
            sent = 0
            while publisher._backlog.has_room() and sent < 100_000:
                _announce(publisher, sent, b"png")
                sent += 1
            assert not publisher._backlog.has_room()
            got = 0
            while not publisher._backlog.has_room():
                await reads.receive()
                got += 1
            assert got <= sent

    asyncio.run(scenario())
