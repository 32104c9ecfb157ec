"""Answers libzmq's question whether a peer may come in, for all sockets of one context (https://rfc.zeromq.org/spec/27/)."""

import zmq
from zmq.utils import z85

from stoker_daemon.zmq.admission import Admission
from stoker_daemon.zmq.reader import Reader

ENDPOINT = "inproc://zeromq.zap.01"
DOMAIN = b"stoker"
_FRAMES = 8
"""Frames of a question before the credentials: route, empty, version, id, domain, address, identity, mechanism."""
_VERSION = b"1.0"


class ZapHandler:
    """Asked at each handshake; must be bound before the sockets that it is for, and closed after them."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], admission: Admission) -> None:
        self._socket = context.socket(zmq.ROUTER)
        self._socket.set(zmq.LINGER, 0)
        self._socket.bind(ENDPOINT)
        self._admission = admission
        self._reader = Reader(self._socket, self._take_frame)
        self._frames: list[bytes] = []
        self.refused = 0
        """Peers that were not let in."""

    def start(self) -> None:
        """Begin to answer; until then nobody gets in."""
        self._reader.start()

    def close(self) -> None:
        """Let nobody in any more."""
        self._reader.stop()
        self._socket.close()

    def _take_frame(self, frame: zmq.Frame) -> None:
        self._frames.append(frame.bytes)
        if not frame.more:
            frames, self._frames = self._frames, []
            self._answer(frames)

    def _answer(self, frames: list[bytes]) -> None:
        """Libzmq itself asks, so the form is what the specification says; anything else is refused."""
        user_id = self._admit(frames)
        self.refused += user_id is None
        code, text = (b"400", b"no such key, or none where one is asked for") if user_id is None else (b"200", b"")
        route, request_id = frames[:2], frames[3]
        self._socket.send_multipart([*route, _VERSION, request_id, code, text, (user_id or "").encode(), b""])
        self._reader.check()

    def _admit(self, frames: list[bytes]) -> str | None:
        version, domain, address, mechanism = frames[2], frames[4], frames[5], frames[7]
        credentials = frames[_FRAMES:]
        if version != _VERSION or domain != DOMAIN:
            return None
        if mechanism == b"CURVE" and len(credentials) == 1 and len(credentials[0]) == 32:
            return self._admission.admit_key(z85.encode(credentials[0]).decode())
        if mechanism == b"NULL":
            return self._admission.admit_plain(address.decode(errors="replace"))
        return None


def user_id_of(message: zmq.Frame) -> str:
    """Under which user id the peer that a message came from was let in; empty: it is gone already, or none."""
    try:
        return str(message.get("User-Id"))
    except zmq.ZMQError:
        return ""
