"""Finds out why nobody answers: is it that nobody is there, or the key?"""

import socket
import struct
from contextlib import suppress

import zmq

from stoker_client.operations.effects import Trouble
from stoker_client.shell import open_control
from stoker_protocol.keys import ClientKey

LOOK_S = 1.0
"""For the greeting, and again for the handshake."""
_GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x00"
"""The beginning of a greeting of ZMTP 3.0 (https://rfc.zeromq.org/spec/23/), before any word of security."""
_MECHANISM = slice(12, 32)
_ENDS = {
    zmq.Event.HANDSHAKE_SUCCEEDED: Trouble.SILENT,
    zmq.Event.HANDSHAKE_FAILED_AUTH: Trouble.KEY_UNKNOWN,
    zmq.Event.HANDSHAKE_FAILED_NO_DETAIL: Trouble.OTHER_DAEMON,
    zmq.Event.HANDSHAKE_FAILED_PROTOCOL: Trouble.OTHER_DAEMON,
}


def diagnose(endpoint: str, key: ClientKey | None) -> Trouble:
    """What is in the way to a daemon that does not answer; takes at most some seconds."""
    if not endpoint.startswith("tcp://"):
        return Trouble.SILENT
    mechanism = _mechanism_of(endpoint)
    if mechanism == b"":
        return Trouble.STRANGE
    if mechanism == b"CURVE":
        return Trouble.KEY_MISSING if key is None else _try_key(endpoint, key)
    return Trouble.KEY_NOT_WANTED if mechanism == b"NULL" and key is not None else Trouble.SILENT


def _mechanism_of(endpoint: str) -> bytes | None:
    """How the other side secures its connections; empty: it does not greet; None: nobody is there."""
    host, _, port = endpoint.removeprefix("tcp://").rpartition(":")
    said = b""
    try:
        peer = socket.create_connection((host.strip("[]"), int(port)), LOOK_S)
    except (OSError, ValueError):
        return None
    with peer, suppress(OSError):
        peer.sendall(_GREETING)
        while len(said) < _MECHANISM.stop and (chunk := peer.recv(_MECHANISM.stop)):
            said += chunk
    return said[_MECHANISM].rstrip(b"\0") if said.startswith(_GREETING[:1]) else b""


def _try_key(endpoint: str, key: ClientKey) -> Trouble:
    """How a handshake with this key ends."""
    with zmq.Context[zmq.Socket[bytes]]() as context, open_control(context, endpoint, key, is_deferred=True) as control:
        monitor = control.get_monitor_socket(sum(_ENDS))
        control.connect(endpoint)
        arrived = monitor.poll(int(LOOK_S * 1000))
        event = zmq.Event(_event_of(monitor.recv_multipart()[0])) if arrived else None
        control.disable_monitor()
        monitor.close()
        return Trouble.SILENT if event is None else _ENDS[event]


def _event_of(frame: bytes) -> int:
    """The number of an event, as `zmq_socket_monitor` writes it; pyzmq's own reader of it would load asyncio."""
    return struct.unpack_from("=H", frame)[0]
