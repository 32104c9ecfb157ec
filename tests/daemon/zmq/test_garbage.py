"""Peers that send nonsense to either socket, while others are at work."""

import asyncio
import random
import socket
import tracemalloc

import pytest
import zmq
from tests.daemon.zmq.rig import Dealer, FakeClock, Subscriber, clients, publishing, serving, until, within

from stoker_daemon.jobs.records import Commit, CommittedEvent
from stoker_protocol import codec
from stoker_protocol.replies import ErrorReply, Pong
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


@pytest.mark.parametrize("kind", [zmq.SUB, zmq.XSUB])
def test_strange_subscribers(kind: int) -> None:
    """Odd subscriptions, and messages to a socket that only publishes, do not disturb who subscribed before."""

    async def scenario() -> None:
        dice = random.Random(4)
        async with publishing(FakeClock()) as publisher, clients() as context:
            subscriber = Subscriber.connect(context, publisher)
            await subscriber.join("queue/")
            rude = context.socket(kind)
            rude.connect(publisher.endpoints[0])
            for _ in range(2000):
                topic = dice.choice([b"", b"sync/", b"sync/" + bytes(70), b"preview/", b"x"]) + dice.randbytes(9)
                if kind == zmq.SUB:
                    rude.subscribe(topic)
                else:
                    await within(rude.send_multipart([dice.choice([b"\0", b"\1", b""]) + topic, b"more"]))
            await until(lambda: len(publisher._watched) > 100)
            publisher.committed(Commit(events=(CommittedEvent(1, "queue/queue_resumed", GOOD_EVENT),)))
            topic, event = await subscriber.receive()
            assert (topic, event.seq) == ("queue/queue_resumed", 1)

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


def test_overlong_subscription() -> None:
    """A peer that subscribes to a topic of more than a kibibyte is dropped, and others go on."""

    async def scenario() -> None:
        async with publishing(FakeClock()) as publisher, clients() as context:
            rude, other = Subscriber.connect(context, publisher), Subscriber.connect(context, publisher)
            await rude.join("queue/")
            monitor = rude.socket.get_monitor_socket(zmq.EVENT_DISCONNECTED)
            rude.socket.subscribe(b"x" * 2000)
            await within(monitor.recv_multipart())
            rude.socket.disable_monitor()
            await other.join("queue/")

    asyncio.run(scenario())
