"""What the daemon takes in and works off beside the bare limit, in interleaved rounds."""

import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from benchmarks.core.contenders import Contender, Limit, Stoker, Worker, await_left
from benchmarks.core.figures import Figure, Setting, ratio
from benchmarks.core.load import lockstep_s

QUICK_SCALE = 0.1


class Submits(NamedTuple):
    """So many requests with so many items each; each client has one under way at a time."""

    requests: int
    items: int = 1
    clients: int = 1

    def units(self, scale: float) -> int:
        """The items in all."""
        return round(self.requests * scale) * self.items

    def rate(self, contender: Contender, scale: float) -> float:
        """Items a second."""
        bodies = [contender.submit_request(self.items) for _ in range(round(self.requests * scale))]
        return self.units(scale) / lockstep_s(contender.endpoint, bodies, self.clients)


ONE_BY_ONE = Submits(1500)
MANY_CLIENTS = Submits(6000, clients=64)
HUNDREDS = Submits(200, items=100)


def noop_items(contender: Worker, scale: float) -> float:
    """Items a second through a warm worker that does nothing, one item a run."""
    items = round(2000 * scale)
    lockstep_s(contender.endpoint, [contender.submit_request(items)])
    before = contender.left()
    contender.begin_work()
    began_s = time.perf_counter()
    left = await_left(contender, before - items, 0.01)
    return (before - left) / (time.perf_counter() - began_s)


class Measure(NamedTuple):
    """What is measured of each contender, per second; `target` is the least that our ratio to the limit should be."""

    name: str
    unit: str
    target: float
    of: Callable[[Worker, float], float]


MEASURES = (
    Measure("submit one by one, to the limit", "jobs", 0.8, ONE_BY_ONE.rate),
    Measure("submit by 64 clients, to the limit", "jobs", 0.6, MANY_CLIENTS.rate),
    Measure("submit 100 a request, to the limit", "items", 0.7, HUNDREDS.rate),
    Measure("no-op items, to the limit", "items", 0.7, noop_items),
)
"""In this order: the last one sets the queue going."""


def throughput(setting: Setting) -> list[Figure]:
    """Measure both contenders in each round, who begins taking turns; what counts are the ratios within a round."""
    rates: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for number in range(setting.rounds):
        for contender in (Limit(), Stoker()) if number % 2 == 0 else (Stoker(), Limit()):
            with tempfile.TemporaryDirectory(dir=setting.folder) as folder:
                contender.start(Path(folder))
                try:
                    for measure in MEASURES:
                        rate = measure.of(contender, QUICK_SCALE if setting.quick else 1.0)
                        rates[measure.name][contender.name].append(rate)
                finally:
                    contender.stop()
    return [_ratio(measure, rates[measure.name]) for measure in MEASURES]


def _ratio(measure: Measure, rates: dict[str, list[float]]) -> Figure:
    ours, limit = statistics.median(rates["stoker"]), statistics.median(rates["limit"])
    made_of = f"{ours:.0f} to {limit:.0f} {measure.unit}/s"
    return ratio(measure.name, rates["stoker"], rates["limit"], ">=", measure.target, made_of)
