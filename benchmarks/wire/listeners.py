"""A process with subscribers: notes when each event arrives, or which are missing."""

import sys
import time
from typing import Any

import msgspec
import zmq

GIVE_UP_MS = 30_000
SAMPLED = 7
"""Of so many events, one is timed: not a divisor of what comes at once."""


def main(mode: str, endpoints: list[str], count: int, until: int) -> None:
    """Print `ready`, and when event `until` has come to all the answer as JSON.

    `times`: for each endpoint the nanoseconds of each event's arrival. `seqs`: how many of `count` subscribers at the
    first endpoint missed something, and the microseconds that some events were under way.
    """
    context = zmq.Context()
    sockets = [_subscriber(context, endpoint) for endpoint in (endpoints if mode == "times" else endpoints[:1] * count)]
    poller = zmq.Poller()
    for socket in sockets:
        socket.poll(GIVE_UP_MS)
        poller.register(socket, zmq.POLLIN)
    print("ready", flush=True)
    answer = _times(sockets, poller, until) if mode == "times" else _missed(sockets, poller, until)
    print(msgspec.json.encode(answer).decode(), flush=True)


def _subscriber(context: "zmq.Context[zmq.Socket[bytes]]", endpoint: str) -> "zmq.Socket[bytes]":
    socket = context.socket(zmq.SUB)
    socket.set(zmq.RCVHWM, 0)
    socket.subscribe("job/")
    socket.subscribe("warm/")
    socket.connect(endpoint)
    return socket


def _times(sockets: "list[zmq.Socket[bytes]]", poller: zmq.Poller, until: int) -> list[dict[str, int]]:
    seen: list[dict[str, int]] = [{} for _ in sockets]
    while any(str(until) not in times for times in seen):
        for socket, _ in poller.poll(GIVE_UP_MS) or sys.exit("nothing comes"):
            topic = socket.recv_multipart()[0]
            if topic.startswith(b"job/"):
                seen[sockets.index(socket)][topic.decode().split("/")[1]] = time.monotonic_ns()
    return seen


def _missed(sockets: "list[zmq.Socket[bytes]]", poller: zmq.Poller, until: int) -> dict[str, Any]:
    last, missed = dict.fromkeys(sockets, 0), set[zmq.Socket[bytes]]()
    late_us: list[float] = []
    while any(seq < until for seq in last.values()):
        for socket, _ in poller.poll(GIVE_UP_MS) or sys.exit("nothing comes"):
            topic = socket.recv_multipart()[0]
            if topic.startswith(b"job/"):
                _, number, published_ns = topic.split(b"/")
                seq = int(number)
                missed |= {socket} if seq != last[socket] + 1 else set()
                last[socket] = seq
                if seq % SAMPLED == 0:
                    late_us.append((time.monotonic_ns() - int(published_ns)) / 1000)
    return {"missed": len(missed), "late_us": late_us}


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[4:], int(sys.argv[2]), int(sys.argv[3]))
