"""What is measured of each peer; needs no package, since the peers' own environments have it too."""

import json
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.core.marks import Marks, busy_cores
from benchmarks.core.processes import pss_mib, with_children

WHERE = "STOKER_BENCHMARK_WHERE"
"""The environment variable that tells scripts and their workers where the queue is: a port, or a file."""
STOP_S = 30.0

Found = dict[str, float]
"""By the name of the measure."""


@dataclass(frozen=True, slots=True)
class Order:
    """How much to measure: jobs of each kind, and seconds between two jobs that find no work."""

    one_by_one: int = 1_500
    many_clients: int = 6_000
    hundreds: int = 20_000
    items: int = 1_000
    starts: int = 8
    gap_s: float = 0.3

    def divided(self, by: int) -> "Order":
        """As much less, but at least something."""
        counts = (self.one_by_one // by, self.many_clients // by, max(200, self.hundreds // by // 100 * 100))
        return Order(*counts, max(2, self.items // by), max(2, self.starts // by), self.gap_s / by)


def rate(submit: Callable[[], object], times: int, items: int = 1) -> float:
    """Items a second, of so many submits one after the other."""
    began_s = time.perf_counter()
    for _ in range(times):
        submit()
    return times * items / (time.perf_counter() - began_s)


def measure_work(
    submit: Callable[[str], object], submit_idle: Callable[[int], object], begin: Callable[[], object], order: Order
) -> Found:
    """Items a second between two marked ones, then how fast work begins where there is none, in ms.

    `submit` submits one job with a payload, `submit_idle` so many that do nothing, and `begin` lets work begin.
    """
    with Marks() as marks:
        submit(marks.payload)
        submit_idle(order.items)
        submit(marks.payload)
        begin()
        first_ns, last_ns = marks.next_ns(), marks.next_ns()
        found = {"no-op items": (order.items + 1) * 1e9 / (last_ns - first_ns)}
        found["idle start"] = statistics.median(marks.starts_ms(submit, order.starts, order.gap_s))
        with busy_cores():
            found["busy start"] = statistics.median(marks.starts_ms(submit, order.starts, order.gap_s))
    return found


def memory_mib(*pids: int) -> float:
    """The resident memory of processes and their children, of shared pages only their part."""
    return sum(pss_mib(one) for pid in pids for one in with_children(pid))


class Worker:
    """A process of a peer that works its queue off, once it is begun."""

    def __init__(self, command: list[str], where: str) -> None:
        """`command` is a program of this environment with its arguments."""
        self._command = [str(Path(sys.executable).with_name(command[0])), *command[1:]]
        self._where = where
        self.pid = 0

    @contextmanager
    def at_hand(self) -> Generator["Worker"]:
        """A context in which it can begin, and at whose end it is no more."""
        self._process: subprocess.Popen[bytes] | None = None
        try:
            yield self
        finally:
            if self._process is not None:
                os.killpg(self.pid, signal.SIGKILL)  # what it has started too
                self._process.wait(STOP_S)

    def begin(self) -> None:
        """Start it."""
        quiet = subprocess.DEVNULL
        environment = {**os.environ, WHERE: self._where}
        self._process = subprocess.Popen(
            self._command, env=environment, stdout=quiet, stderr=quiet, start_new_session=True
        )
        self.pid = self._process.pid


def script(measure: Callable[[str, Order], Found]) -> None:
    """Measure what the arguments say, as a script that `call` has started, and print what was found."""
    print(json.dumps(measure(os.environ[WHERE], Order(**json.loads(sys.argv[1])))))


def arguments(order: Order) -> list[str]:
    """Those of a script."""
    return [json.dumps(asdict(order))]
