"""A load for servers that answer in lines: clients that send prepared requests and wait for each answer."""

import selectors
import socket
import time
from collections.abc import Iterator

TIMEOUT_S = 60.0
_CHUNK = 1 << 20


class _Client:
    """One connection with one request under way; an answer has so many lines."""

    def __init__(self, port: int, lines: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), TIMEOUT_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._lines = self._left = lines

    def send_next(self, requests: Iterator[bytes]) -> bool:
        """Send the next request, if there is one."""
        request = next(requests, None)
        if request is None:
            return False
        self._left = self._lines
        self.socket.sendall(request)
        return True

    def has_answer(self) -> bool:
        """Read what there is; whether the answer is whole now."""
        data = self.socket.recv(_CHUNK)
        if not data or data.startswith((b"-", b"OUT_OF", b"JOB_TOO", b"DRAINING")):
            raise RuntimeError(f"refused: {data[:80]!r}")
        self._left -= data.count(b"\n")
        return self._left <= 0


def lockstep_s(port: int, requests: list[bytes], lines: int, clients: int = 1) -> float:
    """Seconds until all requests have an answer of so many lines, each client having one under way at a time."""
    everyone = [_Client(port, lines) for _ in range(clients)]
    waiting = iter(requests)
    try:
        with selectors.DefaultSelector() as selector:
            for client in everyone:
                selector.register(client.socket, selectors.EVENT_READ, client)
            began_s = time.perf_counter()
            under_way = sum(client.send_next(waiting) for client in everyone)
            while under_way:
                ready = selector.select(TIMEOUT_S)
                if not ready:
                    raise TimeoutError(f"no answer from port {port}")
                for key, _ in ready:
                    if key.data.has_answer():
                        under_way -= not key.data.send_next(waiting)
            return time.perf_counter() - began_s
    finally:
        for client in everyone:
            client.socket.close()
