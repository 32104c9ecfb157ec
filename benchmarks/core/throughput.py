"""What the daemon takes in and works off beside the bare limit, in interleaved rounds."""

import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from benchmarks.core.contenders import Contender, Limit, Stoker
from benchmarks.core.figures import Figure, Setting
from benchmarks.core.load import lockstep_s

QUICK_SCALE = 0.1


def one_by_one(contender: Contender, scale: float) -> float:
    """Jobs a second from one client that waits for each answer."""
    bodies = [contender.submit_request(1) for _ in range(round(1500 * scale))]
    return len(bodies) / lockstep_s(contender.endpoint, bodies)


def many_clients(contender: Contender, scale: float) -> float:
    """Jobs a second from 64 clients."""
    bodies = [contender.submit_request(1) for _ in range(round(6000 * scale))]
    return len(bodies) / lockstep_s(contender.endpoint, bodies, clients=64)


def hundreds(contender: Contender, scale: float) -> float:
    """Items a second from one client, 100 in a request."""
    bodies = [contender.submit_request(100) for _ in range(round(200 * scale))]
    return 100 * len(bodies) / lockstep_s(contender.endpoint, bodies)


def noop_items(contender: Contender, scale: float) -> float:
    """Items a second through a warm worker that does nothing, one item a run."""
    items = round(2000 * scale)
    lockstep_s(contender.endpoint, [contender.submit_request(items)])
    before = contender.left()
    contender.begin_work()
    began_s = time.perf_counter()
    while (left := contender.left()) > before - items:
        time.sleep(0.01)
    return (before - left) / (time.perf_counter() - began_s)


class Measure(NamedTuple):
    """What is measured of each contender, per second; `target` is the least that our ratio to the limit should be."""

    name: str
    unit: str
    target: float
    of: Callable[[Contender, float], float]


MEASURES = (
    Measure("submit one by one, to the limit", "jobs", 0.6, one_by_one),
    Measure("submit by 64 clients, to the limit", "jobs", 0.4, many_clients),
    Measure("submit 100 a request, to the limit", "items", 0.5, hundreds),
    Measure("no-op items, to the limit", "items", 0.4, noop_items),
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
    """The median of the rounds' ratios, with their range."""
    ratios = [ours / limit for ours, limit in zip(rates["stoker"], rates["limit"], strict=True)]
    ours, limit = statistics.median(rates["stoker"]), statistics.median(rates["limit"])
    made_of = f"{min(ratios):.2f} to {max(ratios):.2f}; {ours:.0f} to {limit:.0f} {measure.unit}/s"
    return Figure(measure.name, statistics.median(ratios), "", ">=", measure.target, made_of)
