"""Who is measured: durable queues, each with a directory and ports of its own, or left out with the reason."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path

from benchmarks.core.contenders import Limit, Stoker
from benchmarks.core.load import connection, lockstep_s
from benchmarks.core.throughput import Submits
from benchmarks.peers.work import Found, Order, measure_work, memory_mib

RATES = ("one by one", "64 clients", "100 a request", "no-op items")
"""Jobs or items a second: more is better."""
COSTS = ("idle start", "busy start", "memory")
"""Milliseconds from submit to start on an idle and on a busy host, MiB of all processes: less is better."""
MEASURES = (*RATES, *COSTS)
SUBMITS = {"one by one": (1, 1), "64 clients": (1, 64), "100 a request": (100, 1)}
"""Items of a request, and clients that have one under way each."""


class Unavailable(Exception):
    """A peer that can't be measured here; the message says what is missing."""


class Peer(ABC):
    """A durable queue. What it answers, or returns from, is on disk."""

    name: str
    does: str
    """How it was set, and what of Stoker's work it does, in a few words."""

    @abstractmethod
    def version(self) -> str:
        """Of the program or library, once it is there."""

    @abstractmethod
    def measure(self, folder: Path, order: Order) -> Found:
        """All of MEASURES that it has, in an empty directory of its own; at the end nothing of it runs.

        Raises:
            Unavailable: It is not there, or does not start.
        """


class Core(Peer):
    """Stoker, or the limit of its design, with one daemon that takes in and another that works off."""

    def __init__(self, contender: Callable[[], Limit | Stoker], does: str) -> None:
        self._contender, self.name, self.does = contender, contender().name, does

    def version(self) -> str:
        return ""

    def measure(self, folder: Path, order: Order) -> Found:
        (folder / "in").mkdir()
        (folder / "out").mkdir()
        return self._take_in(folder / "in", order) | self._work_off(folder / "out", order)

    def _take_in(self, folder: Path, order: Order) -> Found:
        counts = {"one by one": order.one_by_one, "64 clients": order.many_clients, "100 a request": order.hundreds}
        contender = self._contender()
        contender.start(folder)
        try:
            return {
                name: Submits(counts[name] // items, items, clients).rate(contender, 1.0)
                for name, (items, clients) in SUBMITS.items()
            }
        finally:
            contender.stop()

    def _work_off(self, folder: Path, order: Order) -> Found:
        contender = self._contender()
        contender.start(folder)
        try:
            with connection(contender.endpoint) as exchange:
                found = measure_work(
                    lambda payload: exchange(contender.submit_request(1, payload)),
                    lambda items: lockstep_s(contender.endpoint, [contender.submit_request(items)]),
                    contender.begin_work,
                    order,
                )
            return {**found, "memory": memory_mib(contender.pid)}
        finally:
            contender.stop()
