"""Sends a message at little cost."""

from collections.abc import Sequence

import zmq

_LAST, _MORE = int(zmq.NOBLOCK), int(zmq.NOBLOCK | zmq.SNDMORE)


def send(socket: zmq.Socket[bytes], frames: Sequence[bytes]) -> None:
    """Give a socket a message if it takes it at once.

    pyzmq's `send_multipart` combines its flags anew for each frame, which costs as much as to send it.

    Raises:
        zmq.ZMQError: It doesn't.
    """
    for frame in frames[:-1]:
        socket.send(frame, _MORE)
    socket.send(frames[-1], _LAST)
