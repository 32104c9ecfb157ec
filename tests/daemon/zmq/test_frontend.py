"""Requests through the control socket: envelopes, errors, roles and bounds."""

import asyncio
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
import zmq
from structlog.testing import capture_logs
from tests.daemon.zmq.rig import Dealer, clients, many_turns, pong, serving, until, within

from stoker_daemon.ports import Caller
from stoker_daemon.zmq import frontend as frontends
from stoker_protocol import codec
from stoker_protocol.errors import ErrorCode, Refused
from stoker_protocol.replies import AnyReply, ErrorReply, Pong, ShuttingDown
from stoker_protocol.requests import AnyRequest, Append, GetJob, Hello, ItemSpec, Ping, Role, Shutdown


class Gate:
    """Answers pings at once, and everything else when it is opened."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.waiting = 0
        self.most_waiting = 0
        self.served = 0

    async def answer(self, request: AnyRequest, _body: bytes, _caller: Caller) -> AnyReply:
        if not isinstance(request, Ping):
            self.waiting += 1
            self.most_waiting = max(self.most_waiting, self.waiting)
            try:
                await self.open.wait()
            finally:
                self.waiting -= 1
        self.served += 1
        return await pong()


def _body(**fields: Any) -> bytes:
    return bytes(codec.pack({"v": 1, "id": "mine", **fields}))


@pytest.mark.parametrize("correlate", [0, 1])
@pytest.mark.parametrize("transport", ["tcp", "ipc"])
def test_req_gets_its_reply(transport: str, correlate: int, tmp_path: Path) -> None:
    """A REQ socket, correlating or not, over TCP or IPC, gets the reply with its request's id."""
    endpoint = "tcp://127.0.0.1:0" if transport == "tcp" else f"ipc://{tmp_path / 'control.sock'}"

    async def scenario() -> None:
        async with serving(endpoints=[endpoint]) as frontend, clients() as context:
            req = context.socket(zmq.REQ)
            req.set(zmq.REQ_CORRELATE, correlate)
            req.connect(frontend.endpoints[0])
            for count in range(3):
                await within(req.send(codec.encode(Ping(id=f"r{count}"))))
                assert codec.decode_reply(await within(req.recv())) == Pong(id=f"r{count}", server_time_ms=7)

    asyncio.run(scenario())


@pytest.mark.parametrize("envelope", [[], [b"a"], [b"a", b"b" * 255], [b"a", b"b", b"c"]])
def test_envelope_is_echoed(envelope: list[bytes]) -> None:
    """Up to three envelope frames and the empty one come back before the body as they were sent."""

    async def scenario() -> None:
        async with serving() as frontend, clients() as context:
            dealer = Dealer.connect(context, frontend)
            socket = dealer.socket
            await within(socket.send_multipart([*envelope, b"", codec.encode(Ping(id="e"))]))
            *echoed, body = await within(socket.recv_multipart())
            assert echoed == [*envelope, b""]
            assert codec.decode_reply(body) == Pong(id="e", server_time_ms=7)

    asyncio.run(scenario())


BODY = codec.encode(Ping(id="lost"))


@pytest.mark.parametrize(
    ("frames", "echoed", "request_id"),
    [
        ([BODY], [], "lost"),
        ([b""], [b""], ""),
        ([b"a", b""], [b"a", b""], ""),
        ([b"", BODY, BODY], [b""], "lost"),
        ([b"a", b"b", b"c", b"d", b"", BODY], [], "lost"),
        ([b"a" * 256, b"", BODY], [], "lost"),
        ([b"x"] * 5000, [], ""),
        ([b""] * 5000, [b""], ""),
    ],
)
def test_other_frames_get_a_typed_error(frames: list[bytes], echoed: list[bytes], request_id: str) -> None:
    """Frames that are no request are answered once with `bad_request` and what to send, and others are served."""

    async def scenario() -> None:
        async with serving() as frontend, clients() as context:
            dealer = Dealer.connect(context, frontend)
            socket = dealer.socket
            await within(socket.send_multipart(frames))
            *route, body = await within(socket.recv_multipart())
            reply = codec.decode_reply(body)
            assert isinstance(reply, ErrorReply)
            assert (route, reply.id, reply.code) == (echoed, request_id, ErrorCode.BAD_REQUEST)
            assert "empty one, and one body" in reply.hint
            await within(socket.send_multipart([b"", BODY]))
            assert await within(socket.recv_multipart()) == [b"", codec.encode(Pong(id="lost", server_time_ms=7))]

    asyncio.run(scenario())


def test_pipelining() -> None:
    """A thousand requests sent in one go are answered a thousand times, each id once."""

    async def scenario() -> None:
        async with serving() as frontend, clients() as context:
            dealer = Dealer.connect(context, frontend)
            for number in range(1000):
                await dealer.send(Ping(id=str(number)))
            replies = [await dealer.receive() for _ in range(1000)]
            assert sorted(int(reply.id) for reply in replies) == list(range(1000))
            assert all(isinstance(reply, Pong) for reply in replies)
            assert frontend.undelivered == 0

    asyncio.run(scenario())


def test_too_large() -> None:
    """A body of more than 8 MiB is refused as `too_large` with its request's id."""

    async def scenario() -> None:
        async with serving() as frontend, clients() as context:
            dealer = Dealer.connect(context, frontend)
            body = _body(op="ping", id="big", padding=bytes(codec.MAX_BODY))
            reply = await dealer.ask(body)
            assert isinstance(reply, ErrorReply)
            assert (reply.id, reply.code, reply.retryable) == ("big", ErrorCode.TOO_LARGE, False)
            await dealer.expect_pong()

    asyncio.run(scenario())


def test_beyond_the_frame_limit() -> None:
    """A peer that sends a frame of more than 9 MiB is dropped, while others are served."""

    async def scenario() -> None:
        async with serving() as frontend, clients() as context:
            rude, other = Dealer.connect(context, frontend), Dealer.connect(context, frontend)
            await rude.expect_pong()
            monitor = rude.socket.get_monitor_socket(zmq.EVENT_DISCONNECTED)
            await rude.send(bytes(codec.MAX_FRAME + 1))
            await within(monitor.recv_multipart())
            rude.socket.disable_monitor()
            await other.expect_pong()

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        (_body(op="pnig"), ErrorCode.UNKNOWN_OP, "op"),
        (_body(op="job"), ErrorCode.BAD_REQUEST, "job_id"),
        (_body(op="jobs", limit=0), ErrorCode.BAD_REQUEST, "limit"),
        (_body(op="ping", v=2), ErrorCode.UNSUPPORTED_VERSION, "v"),
    ],
)
def test_errors_name_their_request(body: bytes, code: ErrorCode, field: str) -> None:
    """What can't be decoded is refused with the id of its request, the code and the field."""

    async def scenario() -> None:
        async with serving() as frontend, clients() as context:
            dealer = Dealer.connect(context, frontend)
            reply = await dealer.ask(body)
            assert isinstance(reply, ErrorReply)
            assert (reply.id, reply.code, reply.field) == ("mine", code, field)

    asyncio.run(scenario())


def test_refusals_cross_the_wire_whole() -> None:
    """What a handler refuses arrives with code, message, field, hint, delay, and whether to try again."""

    async def refuse(*_: object) -> AnyReply:
        raise Refused(ErrorCode.QUEUE_FULL, "no room", field="items", hint="later", retry_after_s=2.5)

    async def scenario() -> None:
        async with serving(refuse) as frontend, clients() as context:
            dealer = Dealer.connect(context, frontend)
            assert await dealer.ask(Hello(id="h")) == ErrorReply(
                id="h",
                code=ErrorCode.QUEUE_FULL,
                message="no room",
                retryable=True,
                field="items",
                hint="later",
                retry_after_s=2.5,
            )

    asyncio.run(scenario())


def test_handler_that_fails() -> None:
    """A handler's exception becomes `internal` without its details, which are in the log with the request's id."""

    async def fail(*_: object) -> AnyReply:
        raise RuntimeError("the secret cause")

    async def scenario() -> None:
        async with serving(fail) as frontend, clients() as context:
            dealer = Dealer.connect(context, frontend)
            reply = await dealer.ask(Hello(id="h"))
            assert isinstance(reply, ErrorReply)
            assert (reply.id, reply.code) == ("h", ErrorCode.INTERNAL)
            assert "secret" not in repr(reply)

    with capture_logs() as logged:
        asyncio.run(scenario())
    (line,) = logged
    assert (line["log_level"], line["request_id"], line["exc_info"]) == ("error", "h", True)
    assert (line["op"], line["client"]) == ("hello", "local")


@pytest.mark.parametrize(
    ("role", "request_", "allowed"),
    [
        (Role.VIEW, GetJob(id="r", job_id="j"), True),
        (Role.VIEW, Shutdown(id="r"), False),
        (Role.SUBMIT, Shutdown(id="r"), False),
        (Role.ADMIN, Shutdown(id="r"), True),
    ],
)
def test_roles(role: Role, request_: AnyRequest, allowed: bool) -> None:
    """A caller may do what its role allows; anything else is `forbidden` and names the role that it takes."""
    asked: list[Caller] = []

    async def answer(_request: AnyRequest, _body: bytes, caller: Caller) -> AnyReply:
        asked.append(caller)
        return ShuttingDown(boot="b")

    async def scenario() -> AnyReply:
        async with serving(answer, role=role) as frontend, clients() as context:
            dealer = Dealer.connect(context, frontend)
            return await dealer.ask(request_)

    reply = asyncio.run(scenario())
    if allowed:
        assert (reply, asked) == (ShuttingDown(id="r", boot="b"), [Caller("local", role)])
    else:
        assert isinstance(reply, ErrorReply)
        assert (reply.id, reply.code, asked) == ("r", ErrorCode.FORBIDDEN, [])
        assert "takes the role admin" in reply.hint


@pytest.mark.parametrize(("max_requests", "max_bytes", "most"), [(4, 1 << 20, 4), (100, 3000, 3)])
def test_bounds_in_flight(max_requests: int, max_bytes: int, most: int) -> None:
    """No more requests or bytes than the bounds wait for answers at once, and all are answered in the end."""

    async def scenario() -> None:
        gate = Gate()
        async with (
            serving(gate.answer, max_requests=max_requests, max_bytes=max_bytes) as frontend,
            clients() as context,
        ):
            dealer = Dealer.connect(context, frontend)
            for number in range(100):
                await dealer.send(_body(op="hello", id=str(number), padding=bytes(1200)))
            await until(lambda: gate.waiting == most)
            await many_turns()
            assert gate.most_waiting == most
            gate.open.set()
            replies = {(await dealer.receive()).id for _ in range(100)}
            assert replies == {str(number) for number in range(100)}
            assert gate.most_waiting == most

    asyncio.run(scenario())


def test_ping_beside_waiting_requests() -> None:
    """A ping is answered while requests of others wait, the one that fills the last place included."""

    async def scenario() -> None:
        gate = Gate()
        async with serving(gate.answer, max_requests=3) as frontend, clients() as context:
            slow, quick = Dealer.connect(context, frontend), Dealer.connect(context, frontend)
            await slow.send(Hello(id="s1"))
            await slow.send(Hello(id="s2"))
            await until(lambda: gate.waiting == 2)
            for number in range(10):
                await quick.expect_pong(str(number))
            assert gate.waiting == 2
            gate.open.set()
            assert {(await slow.receive()).id, (await slow.receive()).id} == {"s1", "s2"}

    asyncio.run(scenario())


def test_ping_beside_a_request_that_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A ping is answered between the steps in which a large request is checked."""
    decode_in_steps = codec.decode_in_steps
    is_over = False

    def without_end(body: bytes) -> Generator[None, None, AnyRequest]:
        while b"hello" in body and not is_over:
            yield
        return (yield from decode_in_steps(body))

    async def scenario() -> None:
        nonlocal is_over
        async with serving() as frontend, clients() as context:
            slow, quick = Dealer.connect(context, frontend), Dealer.connect(context, frontend)
            await slow.send(Hello(id="s1"))
            for number in range(10):
                await quick.expect_pong(str(number))
            is_over = True
            assert (await slow.receive()).id == "s1"

    monkeypatch.setattr(codec, "decode_in_steps", without_end)
    asyncio.run(scenario())


@pytest.mark.parametrize(("items", "times"), [(600, 0), (10_000, 11)])
def test_other_threads_beside_a_request_that_is_checked(
    items: int, times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other threads go first once for each 1 024 values of a large request, and never for a small one."""
    given_way: list[None] = []
    monkeypatch.setattr(frontends, "give_way", lambda: given_way.append(None))

    async def scenario() -> None:
        async with serving() as frontend, clients() as context:
            dealer = Dealer.connect(context, frontend)
            specs = [ItemSpec(params=codec.pack({"prompt": "a red dragon"}))] * items
            await dealer.send(Append(id="a", job_id="job", at=0, items=specs))
            assert (await dealer.receive()).id == "a"

    asyncio.run(scenario())
    assert len(given_way) == times


def test_close_lets_answers_finish() -> None:
    """Closing takes no more requests, but what is at work may end within the grace and is delivered."""

    async def scenario() -> None:
        gate = Gate()
        async with serving(gate.answer) as frontend, clients() as context:
            dealer = Dealer.connect(context, frontend)
            await dealer.send(Hello(id="last"))
            await until(lambda: gate.waiting == 1)
            closing = asyncio.create_task(frontend.close(grace_s=30))
            await asyncio.sleep(0)
            await dealer.send(Hello(id="too late"))
            gate.open.set()
            await within(closing)
            assert (await dealer.receive()).id == "last"
            assert gate.served == 1

    asyncio.run(scenario())


def test_close_ends_what_hangs() -> None:
    """Closing cancels answers that outlast the grace."""

    async def scenario() -> None:
        gate = Gate()
        async with serving(gate.answer) as frontend, clients() as context:
            dealer = Dealer.connect(context, frontend)
            await dealer.send(Hello(id="hangs"))
            await until(lambda: gate.waiting == 1)
            await within(frontend.close(grace_s=0.01))
            assert (gate.waiting, gate.served) == (0, 0)

    asyncio.run(scenario())


def test_reply_to_nobody() -> None:
    """A reply whose peer has gone is dropped and counted, and others are served."""

    async def scenario() -> None:
        gate = Gate()
        async with serving(gate.answer) as frontend, clients() as context:
            gone, other = Dealer.connect(context, frontend), Dealer.connect(context, frontend)
            monitor = frontend._socket.get_monitor_socket(zmq.EVENT_DISCONNECTED)
            await gone.send(Hello(id="g"))
            await until(lambda: gate.waiting == 1)
            gone.socket.close(linger=0)
            await until(lambda: monitor.poll(0) != 0)
            frontend._socket.disable_monitor()
            await other.expect_pong()
            gate.open.set()
            await until(lambda: gate.served == 2)
            await other.expect_pong()
            assert frontend.undelivered == 1

    asyncio.run(scenario())
