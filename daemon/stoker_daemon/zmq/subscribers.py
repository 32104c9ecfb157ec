"""Ends the connections of those who subscribe to more than anybody needs, which libzmq would let go on."""

import os
import socket
from collections.abc import Sequence
from contextlib import suppress

import structlog
import zmq

MAX_TOPIC = 128
"""Bytes of a topic; ours are shorter."""
MAX_SUBSCRIPTIONS = 10_000
"""What one connection may make in its life, repetitions too; who needs more connects again, and so starts anew."""

log = structlog.get_logger()


class Subscribers:
    """Counts per connection, known by the descriptor that libzmq notes on each message and by the inode behind it.

    `endpoints` are those of the socket that the messages come from: no other connection is ever ended.
    """

    def __init__(self, endpoints: Sequence[str]) -> None:
        self._endpoints = endpoints
        self._counts: dict[int, tuple[int, int]] = {}

    def admit(self, subscription: zmq.Frame) -> bool:
        """Whether it is one that somebody may need; the connection of another one is ended."""
        try:
            descriptor = _descriptor_of(subscription)
            inode = os.fstat(descriptor).st_ino
        except OSError:
            return False  # it is gone already
        known, count = self._counts.get(descriptor, (inode, 0))
        count = count + 1 if known == inode else 1
        self._counts[descriptor] = (inode, count)
        if count <= MAX_SUBSCRIPTIONS and len(subscription.buffer) <= 1 + MAX_TOPIC:
            return True
        if count == MAX_SUBSCRIPTIONS + 1:
            log.warning("A connection is ended: too many subscriptions", most=MAX_SUBSCRIPTIONS)
        self.end(subscription)
        return False

    def end(self, message: zmq.Frame) -> None:
        """End the connection that a message came from; what it subscribed to goes with it."""
        with suppress(OSError), socket.socket(fileno=os.dup(_descriptor_of(message))) as connection:
            if self._is_ours(connection):
                connection.shutdown(socket.SHUT_RDWR)

    def _is_ours(self, connection: socket.socket) -> bool:
        """By now the descriptor may be that of something else."""
        name = connection.getsockname()
        if isinstance(name, str):
            return f"ipc://{name}" in self._endpoints
        return any(endpoint.endswith(f":{name[1]}") for endpoint in self._endpoints)


def _descriptor_of(message: zmq.Frame) -> int:
    """ZMQ_SRCFD: deprecated for being unsafe to write to, and still the only name that a connection has.

    Raises:
        OSError: The message came from no connection, or libzmq made it for one that is gone.
    """
    try:
        return int(message.get(zmq.SRCFD))
    except zmq.ZMQError as error:
        raise OSError(error.errno, "no connection") from None
