"""The worker's end of the socketpair: the model's thread speaks, a thread of its own listens."""

from queue import SimpleQueue
from socket import socket
from threading import Thread

from stoker_protocol.codec import FrameBuffer, decode_command, frame
from stoker_protocol.worker import AnySay, Interrupt, Load, RunBatch, Unload
from stoker_worker.leash import end_group

_CHUNK = 256 << 10

Order = Load | Unload | RunBatch


class Connection:
    """Speaks with the daemon. When the daemon is gone, so is this process: at once, whatever the model does."""

    def __init__(self, daemon: socket) -> None:
        self._daemon = daemon
        self._orders: SimpleQueue[Order] = SimpleQueue()
        self._interrupted = ""

    def listen(self) -> None:
        """Start to take what the daemon says."""
        Thread(target=self._listen, name="listen", daemon=True).start()

    def say(self, *messages: AnySay) -> None:
        """Tell the daemon, all at once; waits while it has more to read than it can hold."""
        data = b"".join(map(frame, messages))
        try:
            self._daemon.sendall(data)
        except OSError:
            end_group()

    def next_order(self) -> Order:
        """What to do next."""
        return self._orders.get()

    def is_interrupted(self, run_id: str) -> bool:
        """Whether the daemon wants that run to stop."""
        return self._interrupted == run_id

    def _listen(self) -> None:
        frames = FrameBuffer()
        try:
            while data := self._daemon.recv(_CHUNK):
                for body in frames.feed(data):
                    self._take(body)
        finally:
            end_group()

    def _take(self, body: bytes) -> None:
        command = decode_command(body)
        if isinstance(command, Interrupt):
            self._interrupted = command.run_id
        else:
            self._orders.put(command)
