"""Holds the keys to a daemon and offers it on loopback, for clients that know no keys, such as the Godot plugin."""

import msgspec
import zmq
from msgspec import structs

from stoker_client.errors import BadRequest
from stoker_client.keys import Target
from stoker_client.operations.watching import events_endpoint
from stoker_client.shell import open_control, open_events
from stoker_protocol import codec
from stoker_protocol.replies import Welcome

LOOPBACK = ("tcp://127.", "tcp://localhost:", "tcp://[::1]:")
POLL_MS = 500
A_TURN = 1000
"""Messages of one socket that are passed on before the others have their turn."""

Socket = zmq.Socket[bytes]


class Relay:
    """Two pairs of sockets: requests and events, as they are, from one side to the other.

    Whoever reaches it is, to the daemon, the owner of the key: its name, its role, its jobs. `hello` is answered with
    the relay's own events endpoint.
    """

    def __init__(self, daemon: Target, offered: list[str], control: str, events: str) -> None:
        """`offered` are the daemon's own events endpoints.

        Raises:
            BadRequest: That is not on loopback, or can't be bound.
        """
        self._context: zmq.Context[Socket] = zmq.Context()
        self._daemon = open_control(self._context, daemon.endpoint, daemon.key)
        upstream = events_endpoint(daemon.endpoint, offered)
        self._upstream = open_events(self._context, upstream, (), daemon.key, kind=zmq.XSUB)
        self._router = self._context.socket(zmq.ROUTER)
        self._router.set(zmq.MAXMSGSIZE, codec.MAX_FRAME)
        self._xpub = self._context.socket(zmq.XPUB)
        self._xpub.set(zmq.SNDHWM, 10_000)
        try:
            self.control, self.events = _bound(self._router, control), _bound(self._xpub, events)
        except BadRequest:
            self.close()
            raise

    def close(self) -> None:
        """Close all sockets."""
        self._context.destroy(linger=0)

    def serve(self) -> None:
        """Pass on what comes, for ever."""
        poller = zmq.Poller()
        for socket in (self._daemon, self._upstream, self._router, self._xpub):
            poller.register(socket, zmq.POLLIN)
        while True:
            ready = dict(poller.poll(POLL_MS))
            if self._xpub in ready:
                _pass_on(self._xpub, self._upstream)
            if self._router in ready:
                _pass_on(self._router, self._daemon)
            if self._daemon in ready:
                self._pass_replies()
            if self._upstream in ready:
                _pass_on(self._upstream, self._xpub)

    def _pass_replies(self) -> None:
        for _ in range(A_TURN):
            try:
                *envelope, body = self._daemon.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            _send(self._router, [*envelope, self._with_own_events(body)])

    def _with_own_events(self, body: bytes) -> bytes:
        """A reply; in the answer to `hello` the events are where the relay has them."""
        if b"welcome" not in body[:256]:
            return body
        try:
            reply = codec.decode_reply(body)
        except msgspec.DecodeError:
            return body
        return codec.encode(structs.replace(reply, events=[self.events])) if isinstance(reply, Welcome) else body


def _pass_on(source: Socket, target: Socket) -> None:
    for _ in range(A_TURN):
        try:
            _send(target, source.recv_multipart(zmq.NOBLOCK))
        except zmq.Again:
            return


def _send(socket: Socket, frames: list[bytes]) -> None:
    """Whoever does not read, or is gone, loses what is for it, and holds up nobody."""
    try:
        socket.send_multipart(frames, zmq.NOBLOCK)
    except zmq.Again:
        return


def _bound(socket: Socket, endpoint: str) -> str:
    if not endpoint.startswith(LOOPBACK):
        raise BadRequest(
            "bad_request", f"a relay listens on loopback only, not on {endpoint}", hint="tcp://127.0.0.1:5577"
        )
    try:
        socket.bind(endpoint)
    except zmq.ZMQError as error:
        why = zmq.strerror(error.errno or 0).lower()
        raise BadRequest(
            "bad_request", f"can't bind {endpoint}: {why}", hint="name others: --control and --events"
        ) from None
    return socket.get_string(zmq.LAST_ENDPOINT)
