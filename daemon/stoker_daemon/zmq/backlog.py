"""Keeps count of the large events that wait in ZeroMQ for subscribers, so that one that reads nothing costs little."""

from collections.abc import Sequence

import zmq

LARGE = 16 << 10
"""Bytes from which on an event counts. Of smaller ones the high-water mark bounds how many wait."""
MAX_WAITING = 32 << 20
"""Bytes that may wait until no more previews are sent. An event counts once, however many subscribers wait for it."""


class Backlog:
    """Sends such that ZeroMQ tells when the last subscriber has a message, or lost it."""

    def __init__(self, socket: zmq.Socket[bytes]) -> None:
        self._socket = socket
        self._waiting: list[tuple[zmq.MessageTracker, int]] = []
        self._bytes = 0

    def has_room(self) -> bool:
        """Whether another preview may be sent."""
        if self._bytes >= MAX_WAITING:
            self._waiting = [one for one in self._waiting if not one[0].done]
            self._bytes = sum(size for _, size in self._waiting)
        return self._bytes < MAX_WAITING

    def send(self, frames: Sequence[bytes]) -> None:
        """Send a message whose last frame is large; each counts as if it had LARGE bytes at least."""
        *rest, body = frames
        for frame in rest:
            self._socket.send(frame, zmq.NOBLOCK | zmq.SNDMORE)
        sent = self._socket.send(zmq.Frame(body, track=True, copy=False, copy_threshold=0), zmq.NOBLOCK, False, True)
        size = max(len(body), LARGE)
        self._waiting.append((sent, size))
        self._bytes += size
