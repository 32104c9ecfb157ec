"""Ends the connections of those who subscribe without end, or do not read; libzmq would let them go on."""

import fcntl
import os
import socket
import struct
import termios
from collections.abc import Callable, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass

import structlog
import zmq

MAX_TOPIC = 128
"""Bytes of a topic; ours are shorter."""
MAX_SUBSCRIPTIONS = 10_000
"""What one connection may make in its life, repetitions too; who needs more connects again, and so starts anew."""

PATIENCE = 5
"""Looks in a row at which a connection may have something that its other side did not take."""

_UNSENT = 0x894B
"""SIOCOUTQNSD of Linux: bytes that the other side has no room for. Of a UNIX socket only those not taken are known."""

log = structlog.get_logger()


@dataclass(slots=True)
class _Connection:
    """One, as long as the inode is the same: whose it is, how often it has subscribed, and how long it was behind."""

    inode: int
    user_id: str
    count: int = 0
    behind: int = 0


class Subscribers:
    """Counts per connection, known by the descriptor that libzmq notes on each message and by the inode behind it.

    `endpoints` are those of the socket that the messages come from: no other connection is ever ended.
    """

    def __init__(self, endpoints: Sequence[str]) -> None:
        self._endpoints = endpoints
        self._connections: dict[int, _Connection] = {}

    def admit(self, subscription: zmq.Frame, user_id: str) -> bool:
        """Whether it is one that somebody may need; the connection of another one is ended."""
        try:
            descriptor = _descriptor_of(subscription)
            inode = os.fstat(descriptor).st_ino
        except OSError:
            return False  # it is gone already
        known = self._connections.get(descriptor)
        if known is None or known.inode != inode:
            known = self._connections[descriptor] = _Connection(inode, user_id)
        known.count = count = known.count + 1
        if count <= MAX_SUBSCRIPTIONS and len(subscription.buffer) <= 1 + MAX_TOPIC:
            return True
        if count == MAX_SUBSCRIPTIONS + 1:
            log.warning("A connection is ended: too many subscriptions", most=MAX_SUBSCRIPTIONS)
        self.end(subscription)
        return False

    def end(self, message: zmq.Frame) -> None:
        """End the connection that a message came from; what it subscribed to goes with it."""
        with suppress(OSError):
            self._end(_descriptor_of(message))

    def end_all(self, user_ids: Set[str]) -> None:
        """End the connections of these; who never subscribed hears nothing anyway."""
        self._end_those(lambda known, _descriptor: known.user_id in user_ids)

    def look_for_slow_ones(self, *, is_full: bool) -> None:
        """End the connections of those who were behind at each look while it `is_full`; to be called each second."""

        def is_slow(known: _Connection, descriptor: int) -> bool:
            known.behind = known.behind + 1 if is_full and is_behind(descriptor) else 0
            if known.behind >= PATIENCE:
                log.warning("A connection is ended: its subscriber does not keep up", looks=PATIENCE)
            return known.behind >= PATIENCE

        self._end_those(is_slow)

    def _end_those(self, is_meant: Callable[[_Connection, int], bool]) -> None:
        """End some connections; those that are gone already are forgotten."""
        for descriptor, known in list(self._connections.items()):
            with suppress(OSError):
                if os.fstat(descriptor).st_ino == known.inode:
                    if not is_meant(known, descriptor):
                        continue
                    self._end(descriptor)
            del self._connections[descriptor]

    def _end(self, descriptor: int) -> None:
        """Raises OSError: it is gone already."""
        with socket.socket(fileno=os.dup(descriptor)) as connection:
            if self._is_ours(connection):
                connection.shutdown(socket.SHUT_RDWR)

    def _is_ours(self, connection: socket.socket) -> bool:
        """By now the descriptor may be that of something else."""
        name = connection.getsockname()
        if isinstance(name, str):
            return f"ipc://{name}" in self._endpoints
        return any(endpoint.endswith(f":{name[1]}") for endpoint in self._endpoints)


def is_behind(descriptor: int) -> bool:
    """Whether the other side leaves something in the connection."""
    try:
        waiting = fcntl.ioctl(descriptor, _UNSENT, bytes(4))
    except OSError:
        waiting = fcntl.ioctl(descriptor, termios.TIOCOUTQ, bytes(4))
    return struct.unpack("i", waiting)[0] > 0


def _descriptor_of(message: zmq.Frame) -> int:
    """ZMQ_SRCFD: deprecated for being unsafe to write to, and still the only name that a connection has.

    Raises:
        OSError: The message came from no connection, or libzmq made it for one that is gone.
    """
    try:
        return int(message.get(zmq.SRCFD))
    except zmq.ZMQError as error:
        raise OSError(error.errno, "no connection") from None
