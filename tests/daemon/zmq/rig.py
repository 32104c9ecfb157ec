"""What tests of the sockets share: a frontend or publisher on a free port, and clients in the same event loop."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterable
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import msgspec
import zmq
import zmq.asyncio

from stoker_daemon.zmq.admission import Admission, LocalRules
from stoker_daemon.zmq.frontend import Answer, Frontend
from stoker_daemon.zmq.publisher import Publisher
from stoker_daemon.zmq.shares import FAIR_SHARE, Share
from stoker_daemon.zmq.zap import ZapHandler
from stoker_protocol import codec
from stoker_protocol.events import AnyEvent
from stoker_protocol.replies import AnyReply, Pong
from stoker_protocol.requests import Ping, Role

WAIT_S = 60.0
ANY_PORT = ("tcp://127.0.0.1:0",)


async def pong(*_: object) -> AnyReply:
    """Answers everything alike."""
    return Pong(server_time_ms=7)


async def within(awaitable: Awaitable[Any]) -> Any:
    """What is awaited, or a failure when it takes far too long."""
    return await asyncio.wait_for(awaitable, WAIT_S)


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop run until something holds."""
    async with asyncio.timeout(WAIT_S):
        while not condition():  # noqa: ASYNC110  # what is waited for happens inside libzmq
            await asyncio.sleep(0.001)


async def many_turns() -> None:
    """Give the loop every occasion to do what it should not do."""
    for _ in range(50):
        await asyncio.sleep(0.001)


@asynccontextmanager
async def serving(
    answer: Answer = pong,
    endpoints: Iterable[str] = ANY_PORT,
    role: Role = Role.ADMIN,
    max_requests: int = 1024,
    max_bytes: int = 64 << 20,
    share: Share = FAIR_SHARE,
) -> AsyncGenerator[Frontend, None]:
    """A frontend that reads."""
    admission = Admission(LocalRules(role, {}))
    with letting_in(admission) as context:
        frontend = Frontend(
            context, endpoints, answer, admission=admission, share=share, max_requests=max_requests, max_bytes=max_bytes
        )
        frontend.start()
        try:
            yield frontend
        finally:
            await frontend.close()


@contextmanager
def letting_in(admission: Admission) -> Generator["zmq.Context[zmq.Socket[bytes]]"]:
    """A context in which somebody answers who may come in."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    zap = ZapHandler(context, admission)
    zap.start()
    try:
        yield context
    finally:
        zap.close()
        context.destroy(linger=0)


class FakeClock:
    """Time that stands still until a test moves it."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def now_ms(self) -> int:
        return round(self.seconds * 1000)

    def monotonic_s(self) -> float:
        return self.seconds


@asynccontextmanager
async def publishing(
    clock: FakeClock, endpoints: Iterable[str] = ANY_PORT, boot: str = "boot-1", head: int = 0
) -> AsyncGenerator[Publisher, None]:
    """A publisher at work."""
    admission = Admission(LocalRules(Role.VIEW, {}))
    with letting_in(admission) as context:
        publisher = Publisher(
            context, endpoints, clock=clock, instance_id="db-1", boot=boot, head=head, admission=admission
        )
        publisher.start()
        try:
            yield publisher
        finally:
            publisher.close()


@asynccontextmanager
async def clients() -> AsyncGenerator[zmq.asyncio.Context, None]:
    """Where a test's client sockets come from; they all end with it."""
    context = zmq.asyncio.Context()
    try:
        yield context
    finally:
        context.destroy(linger=0)


@dataclass
class Dealer:
    """A client that may have many requests in flight."""

    socket: zmq.asyncio.Socket

    @classmethod
    def connect(cls, context: zmq.asyncio.Context, frontend: Frontend, rcvhwm: int = 1000) -> "Dealer":
        socket = context.socket(zmq.DEALER)
        socket.set(zmq.RCVHWM, rcvhwm)
        socket.connect(frontend.endpoints[0])
        return cls(socket)

    async def send(self, body: bytes | msgspec.Struct) -> None:
        await within(self.socket.send_multipart([b"", body if isinstance(body, bytes) else codec.encode(body)]))

    async def receive(self) -> AnyReply:
        empty, body = await within(self.socket.recv_multipart())
        assert empty == b""
        return codec.decode_reply(body)

    async def ask(self, body: bytes | msgspec.Struct) -> AnyReply:
        await self.send(body)
        return await self.receive()

    async def expect_pong(self, request_id: str = "still there") -> None:
        assert await self.ask(Ping(id=request_id)) == Pong(id=request_id, server_time_ms=7)


@dataclass
class Subscriber:
    """A client of the events socket."""

    socket: zmq.asyncio.Socket
    nonces: int = 0

    @classmethod
    def connect(cls, context: zmq.asyncio.Context, publisher: Publisher, rcvhwm: int = 0) -> "Subscriber":
        socket = context.socket(zmq.SUB)
        socket.set(zmq.RCVHWM, rcvhwm)
        socket.set(zmq.SNDHWM, 0)  # of subscriptions; beyond it libzmq drops them
        socket.set(zmq.RECONNECT_IVL, 10)
        socket.connect(publisher.endpoints[0])
        return cls(socket)

    async def join(self, *topics: str) -> AnyEvent:
        """Subscribe, and wait for the word that the subscriptions are in force."""
        for topic in topics:
            self.socket.subscribe(topic)
        return (await self.sync())[1]

    async def sync(self) -> tuple[list[tuple[str, AnyEvent]], AnyEvent]:
        """What arrives before the answer to a new nonce, and the answer."""
        self.nonces += 1
        sync_topic = f"sync/n{self.nonces}"
        self.socket.subscribe(sync_topic)
        before: list[tuple[str, AnyEvent]] = []
        while True:
            topic, event = await self.receive()
            if topic == sync_topic:
                self.socket.unsubscribe(sync_topic)
                return before, event
            before.append((topic, event))

    async def receive(self) -> tuple[str, AnyEvent]:
        topic, body = await within(self.socket.recv_multipart())
        return topic.decode(), codec.decode_event(body)
