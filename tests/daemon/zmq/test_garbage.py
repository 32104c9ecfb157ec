"""Peers that send nonsense to either socket, while others are at work."""

import asyncio
import random
import socket
import tempfile
import tracemalloc
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
import zmq
import zmq.asyncio
from tests.daemon.zmq.rig import Dealer, FakeClock, Subscriber, clients, publishing, serving, until, within

from stoker_daemon.jobs.records import Commit, CommittedEvent
from stoker_daemon.zmq.subscribers import MAX_TOPIC, Subscribers
from stoker_daemon.zmq.unread import MAX_UNREAD
from stoker_protocol import codec
from stoker_protocol.errors import ErrorCode
from stoker_protocol.replies import AnyReply, ArtifactBytes, ErrorReply, Pong
from stoker_protocol.requests import Cancel, ItemSpec, ListJobs, Ping, Submit

GOOD = [
    codec.encode(Ping(id="p")),
    codec.encode(ListJobs(id="l", limit=5)),
    codec.encode(Cancel(id="c", job_ids=["a", "b"])),
    codec.encode(
        Submit(
            id="s",
            job_id="j",
            metadata=codec.pack({"k": [1, {"n": None}]}),
            items=[ItemSpec(params=codec.pack({"prompt": "x"})), ItemSpec(custom_id="c")],
        )
    ),
]


def _mutated(dice: random.Random) -> bytes:
    """A good body with some bytes changed, dropped, doubled or cut off."""
    body = bytearray(dice.choice(GOOD))
    for _ in range(dice.randint(1, 6)):
        at = dice.randrange(len(body) + 1)
        match dice.randrange(4):
            case 0:
                body[at : at + 1] = dice.randbytes(1)
            case 1:
                del body[at : at + dice.randint(1, 4)]
            case 2:
                body[at:at] = body[at : at + dice.randint(1, 16)]
            case _:
                body[at:at] = dice.randbytes(dice.randint(1, 8))
    return bytes(body)


def test_mutated_requests() -> None:
    """Ten thousand damaged requests get one typed reply each, and another client's pings are answered in between."""

    async def scenario() -> None:
        dice = random.Random(1)
        async with serving() as frontend, clients() as context:
            rude, other = Dealer.connect(context, frontend), Dealer.connect(context, frontend)
            for _ in range(100):
                for _ in range(100):
                    await rude.send(_mutated(dice))
                await other.expect_pong()
                replies = [await rude.receive() for _ in range(100)]
                assert all(isinstance(reply, Pong | ErrorReply) for reply in replies)
            await rude.expect_pong()
            assert frontend.undelivered == 0

    asyncio.run(scenario())


def test_random_multiparts() -> None:
    """A thousand random multiparts get one reply each, and another client's ping is answered after each of them."""

    async def scenario() -> None:
        dice = random.Random(2)
        async with serving() as frontend, clients() as context:
            rude, other = Dealer.connect(context, frontend), Dealer.connect(context, frontend)
            for _ in range(1000):
                sizes = [dice.choice([0, 0, 1, 8, 300]) for _ in range(dice.randint(1, 10))]
                await within(rude.socket.send_multipart([dice.randbytes(size) for size in sizes]))
                await other.expect_pong()
                *_, body = await within(rude.socket.recv_multipart())
                assert isinstance(codec.decode_reply(body), ErrorReply)

    asyncio.run(scenario())


def test_endless_multipart() -> None:
    """Of a message of too many frames only the first few are kept, however large they are."""

    async def scenario() -> None:
        async with serving() as frontend, clients() as context:
            rude = Dealer.connect(context, frontend)
            await within(rude.socket.send_multipart([bytes(1 << 20)] * 100, copy=False))
            _, peak_before = tracemalloc.get_traced_memory()
            reply = codec.decode_reply((await within(rude.socket.recv_multipart()))[-1])
            assert isinstance(reply, ErrorReply)
            assert tracemalloc.get_traced_memory()[1] - peak_before < 20 << 20

    tracemalloc.start()
    try:
        asyncio.run(scenario())
    finally:
        tracemalloc.stop()


def test_large_replies_that_nobody_reads() -> None:
    """Beyond a bound of unread large replies a peer gets typed refusals, others are served, and so is it afterwards."""
    mebibyte = ArtifactBytes(artifact_id=1, offset=0, data=bytes(1 << 20), total=1 << 20, sha256="")
    answered = 0

    async def answer(*_: object) -> AnyReply:
        nonlocal answered
        answered += 1
        return mebibyte

    async def scenario() -> None:
        async with serving(answer) as frontend, clients() as context:
            rude, other = Dealer.connect(context, frontend, rcvhwm=1), Dealer.connect(context, frontend)
            for number in range(100):
                await rude.send(Ping(id=str(number)))
            await until(lambda: answered == 100)
            assert isinstance(await other.ask(Ping(id="other")), ArtifactBytes)
            replies = [await rude.receive() for _ in range(100)]
            assert {reply.id for reply in replies} == {str(number) for number in range(100)}
            refused = [reply for reply in replies if isinstance(reply, ErrorReply)]
            assert {(reply.code, reply.retryable) for reply in refused} == {(ErrorCode.QUEUE_FULL, True)}
            assert MAX_UNREAD >> 20 <= len(replies) - len(refused) < 90
            while isinstance(await rude.ask(Ping(id="again")), ErrorReply):
                pass

    asyncio.run(scenario())


def test_bytes_that_are_not_zeromq() -> None:
    """Connections that speak no ZMTP, half of it, or nothing, disturb nobody on either socket."""

    async def scenario() -> None:
        dice = random.Random(3)
        async with serving() as frontend, publishing(FakeClock()) as publisher, clients() as context:
            other, subscriber = Dealer.connect(context, frontend), Subscriber.connect(context, publisher)
            await subscriber.join("queue/")
            for endpoint in (frontend.endpoints[0], publisher.endpoints[0]):
                host, port = endpoint.removeprefix("tcp://").split(":")
                for opening in (b"", b"GET / HTTP/1.1\r\n\r\n", b"\xff" + bytes(8) + b"\x7f\x03"):
                    with socket.create_connection((host, int(port))) as peer:
                        peer.sendall(opening + dice.randbytes(dice.choice([0, 100, 10_000])))
                        await other.expect_pong()
            publisher.committed(Commit(events=(CommittedEvent(1, "queue/queue_resumed", GOOD_EVENT),)))
            assert (await subscriber.receive())[0] == "queue/queue_resumed"

    asyncio.run(scenario())


GOOD_EVENT = bytes(codec.pack({"type": "queue_resumed", "seq": 1, "prev": 0, "author": "a"}))


def test_strange_subscriptions() -> None:
    """Odd subscriptions do not disturb who subscribed before."""

    async def scenario() -> None:
        dice = random.Random(4)
        async with publishing(FakeClock()) as publisher, clients() as context:
            subscriber = Subscriber.connect(context, publisher)
            await subscriber.join("queue/")
            rude = Subscriber.connect(context, publisher)
            for _ in range(2000):
                topic = dice.choice([b"", b"sync/", b"sync/" + bytes(70), b"preview/", b"x"]) + dice.randbytes(9)
                rude.socket.subscribe(topic)
            await until(lambda: len(publisher._watched) > 100)
            publisher.committed(Commit(events=(CommittedEvent(1, "queue/queue_resumed", GOOD_EVENT),)))
            topic, event = await subscriber.receive()
            assert (topic, event.seq) == ("queue/queue_resumed", 1)

    asyncio.run(scenario())


@pytest.mark.parametrize("frames", [[b"x"], [b""], [b"\2x"], [b"\1x", b"more"]])
def test_who_publishes_is_disconnected(frames: list[bytes]) -> None:
    """A peer that sends anything else than a subscription is dropped, and others go on."""

    async def scenario() -> None:
        async with publishing(FakeClock()) as publisher, clients() as context:
            rude, other = context.socket(zmq.XSUB), Subscriber.connect(context, publisher)
            rude.connect(publisher.endpoints[0])
            await other.join("queue/")
            async with dropping(rude):
                await within(rude.send_multipart(frames))
            await other.join("job/")

    asyncio.run(scenario())


def test_who_subscribes_too_often_is_disconnected(monkeypatch: pytest.MonkeyPatch) -> None:
    """A peer that subscribes more often than anybody needs is dropped, however it came, and another one stays.

    A new connection begins to count anew.
    """
    monkeypatch.setattr("stoker_daemon.zmq.subscribers.MAX_SUBSCRIPTIONS", 50)

    async def scenario() -> None:
        with tempfile.TemporaryDirectory() as folder:
            endpoints = ["tcp://127.0.0.1:0", f"ipc://{folder}/events"]
            async with publishing(FakeClock(), endpoints) as publisher, clients() as context:
                other = Subscriber.connect(context, publisher)
                await other.join("queue/")
                for endpoint, topic in zip(publisher.endpoints, (b"preview/1/", b"preview/2/"), strict=True):
                    rude = context.socket(zmq.XSUB)
                    rude.connect(endpoint)
                    for _ in range(50):
                        await within(rude.send(b"\1" + topic))
                    await until(lambda topic=topic: publisher._watched[topic] == 50)
                    async with dropping(rude):
                        await within(rude.send(b"\1" + topic))
                    rude.close(linger=0)
                    await until(lambda topic=topic: publisher._watched[topic] < 50)
                assert (await other.sync())[0] == []

    asyncio.run(scenario())


def test_only_connections_of_the_socket_are_ended() -> None:
    """A descriptor that meanwhile belongs to a connection of another socket is left alone."""

    async def scenario() -> None:
        async with clients() as context:
            pull, push = context.socket(zmq.PULL), context.socket(zmq.PUSH)
            port = pull.bind_to_random_port("tcp://127.0.0.1")
            push.connect(f"tcp://127.0.0.1:{port}")
            await within(push.send(b"1"))
            frame = await within(pull.recv(copy=False))
            Subscribers(["tcp://127.0.0.1:1", "ipc:///elsewhere"]).end(frame)
            await within(push.send(b"2"))
            assert await within(pull.recv()) == b"2"
            async with dropping(push):
                Subscribers([f"tcp://127.0.0.1:{port}"]).end(frame)

    asyncio.run(scenario())


def test_subscription_flood_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A flood of different subscriptions leaves no more behind than the bound, and nothing once its peer is gone."""
    monkeypatch.setattr("stoker_daemon.zmq.publisher.MAX_WATCHED", 50)

    async def scenario() -> None:
        async with publishing(FakeClock()) as publisher, clients() as context:
            flooding = Subscriber.connect(context, publisher)
            for number in range(500):
                flooding.socket.subscribe(f"preview/{number}/")
                flooding.socket.subscribe(f"job/{number}/")
            await flooding.sync()
            assert len(publisher._watched) == 50
            assert publisher.wants_previews("0")
            assert not publisher.wants_previews("499")
            flooding.socket.close(linger=0)
            await until(lambda: not publisher._watched)
            assert not publisher.wants_previews("0")

    asyncio.run(scenario())


@pytest.mark.parametrize("size", [MAX_TOPIC + 1, 2000])
def test_overlong_subscription(size: int) -> None:
    """A peer that subscribes to a topic longer than any of ours is dropped, and others go on."""

    async def scenario() -> None:
        async with publishing(FakeClock()) as publisher, clients() as context:
            rude, other = Subscriber.connect(context, publisher), Subscriber.connect(context, publisher)
            await rude.join("queue/")
            async with dropping(rude.socket):
                rude.socket.subscribe(b"x" * size)
            await other.join("queue/")

    asyncio.run(scenario())


@asynccontextmanager
async def dropping(socket: zmq.asyncio.Socket) -> AsyncGenerator[None, None]:
    """What is done meanwhile makes the other side end the connection."""
    monitor = socket.get_monitor_socket(zmq.EVENT_DISCONNECTED)
    try:
        yield
        await within(monitor.recv_multipart())
    finally:
        socket.disable_monitor()
        monitor.close()
