"""The load: clients that send prepared requests and wait for each answer."""

import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager

import zmq

TIMEOUT_MS = 60_000


def ask(endpoint: str, body: bytes) -> bytes:
    """One request on a socket of its own."""
    with connection(endpoint) as exchange:
        return exchange(body)


@contextmanager
def connection(endpoint: str) -> Generator[Callable[[bytes], bytes]]:
    """A context with a socket; gives what sends a request on it and returns the answer."""
    with _context() as context:
        socket = _connected(context, zmq.REQ, endpoint)

        def exchange(body: bytes) -> bytes:
            socket.send(body)
            if not socket.poll(TIMEOUT_MS):
                raise TimeoutError(endpoint)
            return socket.recv()

        yield exchange


def lockstep_s(endpoint: str, bodies: list[bytes], clients: int = 1) -> float:
    """Seconds until all bodies are answered, each client having one under way at a time."""
    with _context() as context:
        sockets = [_connected(context, zmq.DEALER, endpoint) for _ in range(clients)]
        poller = zmq.Poller()
        for socket in sockets:
            poller.register(socket, zmq.POLLIN)
        waiting = iter(bodies)
        began_s = time.perf_counter()
        under_way = sum(_send_next(socket, waiting) for socket in sockets)
        while under_way:
            ready = poller.poll(TIMEOUT_MS)
            if not ready:
                raise TimeoutError(endpoint)
            for socket, _ in ready:
                socket.recv_multipart()
                under_way -= not _send_next(socket, waiting)
        return time.perf_counter() - began_s


@contextmanager
def _context() -> Generator[zmq.Context[zmq.Socket[bytes]]]:
    """A context that ends with its sockets, also when a load went wrong."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    try:
        yield context
    finally:
        context.destroy(linger=0)


def _connected(context: zmq.Context[zmq.Socket[bytes]], kind: int, endpoint: str) -> zmq.Socket[bytes]:
    socket = context.socket(kind)
    socket.connect(endpoint)
    return socket


def _send_next(socket: zmq.Socket[bytes], waiting: Iterator[bytes]) -> bool:
    body = next(waiting, None)
    if body is None:
        return False
    socket.send_multipart([b"", body])
    return True
