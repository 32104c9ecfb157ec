"""Keeps count of the large replies that wait in ZeroMQ for a peer to read them."""

import zmq

LARGE = zmq.COPY_THRESHOLD
"""Bytes from which on pyzmq can tell when a message has left; of smaller ones a peer has at most 1 000 waiting."""
MAX_UNREAD = 32 << 20
"""Bytes of large replies that may wait for one peer."""


class Unread:
    """By peer; what was read, or can't be any more, is forgotten."""

    def __init__(self) -> None:
        self._waiting: dict[bytes, list[tuple[zmq.MessageTracker, int]]] = {}

    def has_room(self, peer: bytes) -> bool:
        """Whether another large reply may be sent to a peer."""
        self._forget_read()
        return sum(size for _, size in self._waiting.get(peer, ())) < MAX_UNREAD

    def add(self, peer: bytes, sent: zmq.MessageTracker, size: int) -> None:
        """Note what was sent."""
        self._waiting.setdefault(peer, []).append((sent, size))

    def _forget_read(self) -> None:
        waiting = {peer: [one for one in sent if not one[0].done] for peer, sent in self._waiting.items()}
        self._waiting = {peer: sent for peer, sent in waiting.items() if sent}
