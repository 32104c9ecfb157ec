"""Peers that mean no good: raw connections that speak as much ZMTP as they like, and a watch on whom they trouble."""

import resource
import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

import zmq
from tests.system.daemons import Rig
from tests.worker.processes import BOUND_S, wait_for

from stoker_client import Client
from stoker_client.errors import StokerError

GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32)
"""ZMTP 3.0 without security, as in https://rfc.zeromq.org/spec/23/; in it a subscription is a message."""


def dial(endpoint: str) -> socket.socket:
    """A TCP connection that has not said anything."""
    host, port = endpoint.removeprefix("tcp://").split(":")
    return socket.create_connection((host, int(port)), BOUND_S)


def greet(endpoint: str, kind: bytes) -> socket.socket:
    """A connection of a socket of this kind, past its handshake."""
    peer = dial(endpoint)
    ready = b"\5READY\x0bSocket-Type" + len(kind).to_bytes(4, "big") + kind
    peer.sendall(GREETING + b"\4" + bytes([len(ready)]) + ready)
    _flags, size = exactly(peer, len(GREETING) + 2)[-2:]
    exactly(peer, size)
    return peer


def exactly(peer: socket.socket, size: int) -> bytes:
    """So many bytes from the other side."""
    said = b""
    while len(said) < size:
        chunk = peer.recv(size - len(said))
        assert chunk, "hung up on"
        said += chunk
    return said


def frame(data: bytes, more: bool = False) -> bytes:
    """A part of a message as it is on the wire."""
    if len(data) < 256:
        return bytes([more, len(data)]) + data
    return bytes([2 + more]) + len(data).to_bytes(8, "big") + data


def last_words(peer: socket.socket) -> bytes:
    """What the other side says until it ends the connection, as it must."""
    said = b""
    with suppress(ConnectionError):
        while chunk := peer.recv(1 << 16):
            said += chunk
    return said


def await_sync(socket: zmq.Socket[bytes], nonce: str) -> None:
    """Wait until subscriptions are in force."""
    socket.subscribe(f"sync/{nonce}")
    while receive(socket)[0] != f"sync/{nonce}".encode():
        pass


def receive(socket: zmq.Socket[bytes]) -> list[bytes]:
    """The next message; it must come."""
    assert socket.poll(int(BOUND_S * 1000)), "nothing comes"
    return socket.recv_multipart()


def resident_mib(pid: int) -> float:
    """What a process has in memory."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def handles(pid: int) -> int:
    """How many files and connections a process has open."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


@contextmanager
def may_open(count: int) -> Generator[None]:
    """The test may have so many files and connections, and the daemons that it starts begin with that."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(count, hard), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@contextmanager
def answered_throughout(rig: Rig) -> Generator[None]:
    """Another client asks on and on meanwhile, and is answered each time."""
    failures: list[StokerError] = []
    done, asked = threading.Event(), threading.Event()

    def ask() -> None:
        with Client(rig.daemon.control, timeout_s=BOUND_S) as client:
            try:
                while not done.wait(0.01):
                    client.ping()
                    asked.set()
            except StokerError as failure:
                failures.append(failure)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        wait_for(lambda: asked.is_set() or failures)
        yield
        asked.clear()
        wait_for(lambda: asked.is_set() or failures)
    finally:
        done.set()
        thread.join()
    assert not failures
