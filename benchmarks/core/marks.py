"""Marked jobs: each says when its body begins, so that the way from a submit to its start can be timed."""

import os
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

PAYLOAD = "a red dragon with a small hat, sitting on a heap of gold coins, three quarter view"
"""Of a job that does nothing; what needs an environment without Stoker takes it from here too."""
TIMEOUT_S = 150.0
_MARK = "mark:"
_MOMENT = struct.Struct("!q")


class Marks:
    """Hears when marked jobs begin, whoever runs them on this machine."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.settimeout(TIMEOUT_S)
        self.payload = f"{_MARK}{self._socket.getsockname()[1]}"
        """Of a marked job."""

    def __enter__(self) -> "Marks":
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def next_ns(self) -> int:
        """When the next marked job began, on the clock of `time.monotonic_ns`. Raises TimeoutError."""
        return int(_MOMENT.unpack(self._socket.recv(_MOMENT.size))[0])

    def starts_ms(self, submit: Callable[[str], object], times: int, gap_s: float) -> list[float]:
        """How long after its submit each of some jobs began, each submitted so long after the one before."""
        took_ms: list[float] = []
        for _ in range(times):
            time.sleep(gap_s)
            began_ns = time.monotonic_ns()
            submit(self.payload)
            took_ms.append((self.next_ns() - began_ns) / 1e6)
        return took_ms


def tell(payload: str) -> None:
    """What the body of a job does: nothing, unless it is marked."""
    if payload.startswith(_MARK):
        moment = _MOMENT.pack(time.monotonic_ns())
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as telling:
            telling.sendto(moment, ("127.0.0.1", int(payload.removeprefix(_MARK))))


@contextmanager
def busy_cores() -> Generator[None]:
    """A context in which each core has a program that never waits, of another session as those of other people are."""
    spin = [sys.executable, "-S", "-c", "while True: pass"]
    spinning = [subprocess.Popen(spin, start_new_session=True) for _ in os.sched_getaffinity(0)]
    try:
        time.sleep(0.2)  # until they spin
        yield
    finally:
        for one in spinning:
            one.kill()
            one.wait(TIMEOUT_S)
