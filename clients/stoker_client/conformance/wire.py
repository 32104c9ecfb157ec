"""A client's two sockets without a client: what is sent is what a check says, and what comes back is not mended."""

import os
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self, TypeVar, cast

import msgspec
import zmq

from stoker_client.conformance.checking import NotSo, expect
from stoker_client.keys import target
from stoker_client.operations.watching import events_endpoint
from stoker_client.shell import open_control, open_events
from stoker_protocol import codec
from stoker_protocol.events import AnyEvent
from stoker_protocol.replies import AnyReply, ErrorReply, Reply, Welcome

R = TypeVar("R", bound=Reply)
Frames = list[bytes]

SYNC = "sync/conformance"


class Wire:
    """Talks to one server; each wait is bounded by `patience_s`."""

    def __init__(self, endpoint: str, patience_s: float) -> None:
        self.endpoint = endpoint
        self.patience_s = patience_s
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._key = target(endpoint).key  # the one that the environment names, or that was kept for this endpoint
        self._control = open_control(self._context, endpoint, self._key)
        self._streams: list[Stream] = []
        self._count = 0
        self._nonce = os.urandom(4).hex()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _: TracebackType | None
    ) -> None:
        for stream in self._streams:
            stream.close()
        self._context.destroy(linger=0)

    def new_id(self, stem: str = "c") -> str:
        """An id that was not used before."""
        self._count += 1
        return f"{stem}-{self._nonce}-{self._count}"

    def send(self, *frames: bytes) -> None:
        """Send frames as they are, on the one connection of all checks."""
        self._control.send_multipart(frames)

    def receive(self, patience_s: float | None = None) -> Frames | None:
        """The frames of the next reply, or None if none comes in time."""
        wait_s = self.patience_s if patience_s is None else patience_s
        return self._control.recv_multipart() if self._control.poll(round(wait_s * 1000)) else None

    def exchange(self, body: bytes, *envelope: bytes) -> AnyReply:
        """The decoded reply to a body, whatever it is; the envelope must come back as it went."""
        self.send(*envelope, b"", body)
        frames = self.receive()
        expect(frames is not None, "no reply")
        *returned, reply = frames or [b""]
        expect(returned == [*envelope, b""], f"the envelope came back as {returned}")
        try:
            return codec.decode_reply(reply)
        except msgspec.DecodeError as error:
            raise NotSo(f"the reply can't be read: {error}") from None

    def ask(self, op: str, expected: type[R], **fields: Any) -> R:
        """The reply to a request that must be granted."""
        request_id = self.new_id()
        reply = self.exchange(pack({"v": 1, "id": request_id, "op": op, **fields}))
        if isinstance(reply, ErrorReply):
            raise NotSo(f"{op} was refused: {reply.code}: {reply.message}")
        expect(isinstance(reply, expected), f"{op} was answered by {tag_of(reply)}")
        expect(reply.id == request_id, f"the reply has the id {reply.id!r} instead of {request_id!r}")
        return cast("R", reply)

    def refusal(self, body: bytes | Mapping[str, Any]) -> ErrorReply:
        """The refusal of a body that must be refused."""
        reply = self.exchange(body if isinstance(body, bytes) else pack(body))
        if not isinstance(reply, ErrorReply):
            raise NotSo(f"it was answered by {tag_of(reply)}")
        return reply

    def subscribe(self, *topics: str) -> "Stream":
        """The events of these topics from now on: their subscriptions are in force."""
        offered = self.ask("hello", Welcome).events
        socket = open_events(self._context, events_endpoint(self.endpoint, offered), (*topics, SYNC), self._key)
        stream = Stream(socket, self.patience_s)
        self._streams.append(stream)
        topic, _ = stream.next()
        while topic != SYNC:
            topic, _ = stream.next()
        return stream


class Stream:
    """Events as they come."""

    def __init__(self, socket: zmq.Socket[bytes], patience_s: float) -> None:
        self._socket = socket
        self._patience_s = patience_s
        self.bodies: list[tuple[str, bytes]] = []
        """All lifecycle events so far, as they came."""

    def close(self) -> None:
        """Hear no more."""
        self._socket.close(0)

    def next(self) -> tuple[str, AnyEvent]:
        """The next event with its topic."""
        expect(self._socket.poll(round(self._patience_s * 1000)), "no event comes")
        frames = self._socket.recv_multipart()
        expect(len(frames) == 2, f"an event of {len(frames)} frames")
        topic, body = frames[0].decode(errors="replace"), frames[1]
        try:
            event = codec.decode_event(body)
        except msgspec.DecodeError as error:
            raise NotSo(f"an event on {topic} can't be read: {error}") from None
        if event.seq is not None:
            self.bodies.append((topic, body))
        return topic, event


def pack(value: Mapping[str, Any]) -> bytes:
    """A map as bytes, whatever it holds."""
    return bytes(codec.pack(value))


def tag_of(message: Reply | AnyEvent) -> str:
    """What a message calls itself."""
    return str(message.__struct_config__.tag)
