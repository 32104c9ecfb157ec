"""Whatever clients send while keys come and go, each message gets one fitting reply, and nothing is left behind."""

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import zmq
import zmq.asyncio
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from structlog.testing import capture_logs
from tests.daemon.zmq.rig import ANY_PORT, letting_in, pong, serving, within
from tests.golden.generate import HERE, as_sent

from stoker_client.shell import open_control
from stoker_daemon.ports import Caller
from stoker_daemon.zmq.admission import Admission, LocalRules
from stoker_daemon.zmq.frontend import MAX_ENVELOPE, Frontend
from stoker_daemon.zmq.keyring import Client, ServerKeys
from stoker_daemon.zmq.shares import Share
from stoker_protocol import codec
from stoker_protocol.errors import CODES
from stoker_protocol.keys import ClientKey
from stoker_protocol.replies import AnyReply, ErrorReply
from stoker_protocol.requests import AnyRequest, Ping, Role

CORPUS = sorted((Path(__file__).parents[2] / "corpus").glob("*.msgpack"))
"""Bodies of kinds that make trouble, each with its trouble for a name; what is found to fail is added."""
GOLDEN = [as_sent(path) for path in sorted((HERE / "requests").glob("*.json"))]
NAMES = ("ann", "bob")
SHARE = Share(requests=4, bytes=1 << 20)

names = st.sampled_from(NAMES)
bodies = st.binary(max_size=40) | st.sampled_from([path.read_bytes() for path in CORPUS])


def a_pair() -> ServerKeys:
    """A new key pair."""
    public, secret = zmq.curve_keypair()
    return ServerKeys(public.decode(), secret.decode())


class CountingFrontend(Frontend):
    """Knows how many messages have arrived."""

    taken = 0

    def _take(self, frames: list[bytes]) -> None:
        self.taken += 1
        super()._take(frames)


class FrontendMachine(RuleBasedStateMachine):
    """Two people with keys, of whom either may be revoked and let in again, and a daemon whose answers can be held."""

    @initialize()
    def open(self) -> None:
        """Begin with both let in."""
        self.runner = asyncio.Runner()
        self.log = capture_logs()
        self.log.__enter__()
        server, pairs = a_pair(), {name: a_pair() for name in NAMES}
        self.clients = {pair.public: Client(name, Role.SUBMIT, pair.public) for name, pair in pairs.items()}
        self.publics = {name: pair.public for name, pair in pairs.items()}
        self.known = set[str](NAMES)
        self.gate = asyncio.Event()
        self.gate.set()
        self.sent: dict[str, Counter[str]] = {name: Counter() for name in NAMES}
        self.expected: dict[str, str] = {}
        self.count = 0
        self.runner.run(self._open(server, pairs))

    async def _open(self, server: ServerKeys, pairs: dict[str, ServerKeys]) -> None:
        self.admission = Admission(LocalRules(Role.VIEW, {}), self.clients)
        self.letting_in = letting_in(self.admission)
        context = self.letting_in.__enter__()
        secret = server.secret.encode()
        self.frontend = CountingFrontend(
            context, ANY_PORT, self._answer, admission=self.admission, secret_for=lambda _: secret, share=SHARE
        )
        self.frontend.start()
        self.theirs = zmq.asyncio.Context()
        self.sockets = {
            name: open_control(self.theirs, self.frontend.endpoints[0], key_of(name, pair, server))
            for name, pair in pairs.items()
        }
        for name in NAMES:
            await self._send(name, codec.encode(Ping(id=self._next_id("answered"))))
            await self._receive(name)

    async def _answer(self, request: AnyRequest, _body: bytes, caller: Caller) -> AnyReply:
        assert caller.name in NAMES
        await self.gate.wait()
        if isinstance(request, Ping) and request.id.endswith("boom"):
            raise RuntimeError("on purpose")
        return await pong()

    @rule(name=names, goes_wrong=st.booleans())
    def ask(self, name: str, goes_wrong: bool) -> None:
        expected = "internal" if goes_wrong else "answered"
        request_id = self._next_id(expected if name in self.known else "forbidden")
        if goes_wrong:
            self.expected[request_id + "boom"] = self.expected.pop(request_id)
            request_id += "boom"
        self._say(name, codec.encode(Ping(id=request_id)))

    @rule(name=names, golden=st.sampled_from(GOLDEN))
    def ask_something(self, name: str, golden: dict[str, Any]) -> None:
        self._say(name, bytes(codec.pack({**golden, "id": self._next_id("any")})))

    @rule(name=names, body=bodies, envelope=st.lists(st.binary(min_size=1, max_size=300), max_size=5))
    def say_nonsense(self, name: str, body: bytes, envelope: list[bytes]) -> None:
        self._say(name, body, envelope)

    @rule(name=names)
    def revoke(self, name: str) -> None:
        self.known.discard(name)
        self._replace()

    @rule(name=names)
    def let_in_again(self, name: str) -> None:
        self.known.add(name)
        self._replace()

    @precondition(lambda self: self.gate.is_set())
    @rule()
    def hold(self) -> None:
        self.gate.clear()

    @rule()
    def go_on(self) -> None:
        self.gate.set()
        self.runner.run(self._read_all())

    @invariant()
    def nobody_has_more_than_a_share(self) -> None:
        assert len(self.frontend._tasks) <= len(NAMES) * SHARE.requests

    def teardown(self) -> None:
        """All that was sent is answered, and nothing of it is remembered."""
        if not hasattr(self, "runner"):
            return
        try:
            self.go_on()
            assert not self.frontend._tasks
            assert (self.frontend._bytes, self.frontend._shares._requests) == (0, Counter())
        finally:
            self.runner.run(self._close())
            self.runner.close()
            self.log.__exit__(None, None, None)

    async def _close(self) -> None:
        await self.frontend.close()
        self.theirs.destroy(linger=0)
        self.letting_in.__exit__(None, None, None)

    def _replace(self) -> None:
        self.admission.replace_clients(
            {public: client for public, client in self.clients.items() if client.name in self.known}
        )

    def _say(self, name: str, body: bytes, envelope: list[bytes] | None = None) -> None:
        """Send, and see to it that it arrives before anything else happens."""
        self.runner.run(self._send(name, body, envelope))

    async def _send(self, name: str, body: bytes, envelope: list[bytes] | None = None) -> None:
        before = self.frontend.taken
        envelope = envelope or []
        is_read = len(envelope) <= MAX_ENVELOPE  # of more frames, what comes last is let go
        self.sent[name][codec.request_id_of(body) if is_read else ""] += 1
        await self.sockets[name].send_multipart([*envelope, b"", body])
        async with asyncio.timeout(30):
            while self.frontend.taken == before:  # noqa: ASYNC110  what is waited for happens inside libzmq
                await asyncio.sleep(0)

    async def _receive(self, name: str) -> None:
        *_, body = await within(self.sockets[name].recv_multipart())
        reply = codec.decode_reply(body)
        assert self.sent[name][reply.id] > 0, f"nobody asked {reply.id!r}"
        self.sent[name][reply.id] -= 1
        code = str(reply.code) if isinstance(reply, ErrorReply) else "answered"
        wanted = self.expected.get(reply.id, "any")
        assert wanted == "any" or code in (wanted, "queue_full")
        assert not isinstance(reply, ErrorReply) or reply.retryable == CODES[reply.code].retryable

    async def _read_all(self) -> None:
        for name in NAMES:
            while sum(self.sent[name].values()):
                await self._receive(name)

    def _next_id(self, expected: str) -> str:
        self.count += 1
        self.expected[f"m{self.count}"] = expected
        return f"m{self.count}"


def key_of(name: str, pair: ServerKeys, server: ServerKeys) -> ClientKey:
    """What this person has in a file."""
    return ClientKey(name=name, server_key=server.public, public_key=pair.public, secret_key=pair.secret)


TestFrontend = FrontendMachine.TestCase
TestFrontend.settings = settings(max_examples=12, stateful_step_count=25)


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_past_failures(path: Path) -> None:
    """We expect each body of the corpus to be refused with a reason in a few words, and the next one to be served."""

    body = path.read_bytes()

    async def scenario() -> None:
        async with serving() as frontend:
            context = zmq.asyncio.Context()
            socket = open_control(context, frontend.endpoints[0])
            await socket.send_multipart([b"", body])
            reply = codec.decode_reply((await within(socket.recv_multipart()))[-1])
            assert isinstance(reply, ErrorReply)
            assert reply.code in ("bad_request", "unsupported_version", "unknown_op", "too_large")
            assert len(reply.message) < 400
            await socket.send_multipart([b"", codec.encode(Ping(id="next"))])
            assert codec.decode_reply((await within(socket.recv_multipart()))[-1]).id == "next"
            context.destroy(linger=0)

    asyncio.run(scenario())
