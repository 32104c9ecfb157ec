"""Reads a ZeroMQ socket on asyncio's loop, a bounded amount at a time."""

import asyncio
from collections.abc import Callable

import zmq

TURN = 1 << 20
"""Bytes to take before other work gets its turn; libzmq's fair queueing then lets the next peer come first."""
FRAME_COST = 4 << 10
"""Bytes that a frame counts for however small it is, since each costs the time of a Python call: 256 a turn."""

_EVENTS, _POLLIN, _NOBLOCK = int(zmq.EVENTS), int(zmq.POLLIN), int(zmq.NOBLOCK)
"""As plain numbers: to combine pyzmq's own flags costs more than to ask the socket."""


class Reader:
    """Hands each frame that a socket receives to `receive`.

    A ZeroMQ descriptor is edge-triggered: it becomes readable when something happens, and any call on the socket may
    use that up. So a turn goes on until there is nothing more, and who sends calls `check` afterwards.
    """

    def __init__(self, socket: zmq.Socket[bytes], receive: Callable[[zmq.Frame], None]) -> None:
        self._socket = socket
        self._receive = receive
        self._loop = asyncio.get_running_loop()
        self._soon: asyncio.Handle | None = None
        self._is_reading = False

    def start(self) -> None:
        """Begin, or go on after `stop`."""
        if not self._is_reading:
            self._is_reading = True
            self._loop.add_reader(self._socket.fileno(), self._turn)
            self._turn_soon()

    def stop(self) -> None:
        """Leave what arrives in the socket, where the high-water mark holds back the peers."""
        if self._is_reading:
            self._is_reading = False
            self._loop.remove_reader(self._socket.fileno())

    def check(self) -> None:
        """Look again, after a send; once for all that this turn of the loop sends."""
        if self._is_reading and self._soon is None:
            self._soon = self._loop.call_soon(self._look)

    def _look(self) -> None:
        self._soon = None
        if self._is_reading and int(self._socket.get(_EVENTS)) & _POLLIN:
            self._turn()

    def _turn_soon(self) -> None:
        if self._soon is None:
            self._soon = self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        if self._soon is not None:
            self._soon.cancel()
            self._soon = None
        left = TURN
        while self._is_reading:
            if left <= 0:
                self._turn_soon()
                return
            try:
                frame = self._socket.recv(_NOBLOCK, copy=False)
            except zmq.Again:
                return
            left -= max(len(frame), FRAME_COST)
            self._receive(frame)
