"""What bounds the rate of submits: the bare limit with one necessary thing after another, and then the daemon."""

import tempfile
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

from benchmarks.core.contenders import Contender, Limit, Stepped, Stoker
from benchmarks.core.figures import Figure, Setting, ratio
from benchmarks.core.processes import threads_us
from benchmarks.core.steps import Step
from benchmarks.core.throughput import HUNDREDS, MANY_CLIENTS, ONE_BY_ONE, QUICK_SCALE, Submits

LOADS = {"one by one": ONE_BY_ONE, "64 clients": MANY_CLIENTS, "100 a request": HUNDREDS}


class _Round(NamedTuple):
    """What a contender did in one round: jobs or items a second, and the CPU time of its process for each, in us."""

    rate: float
    cpu_us: float


def bounding(setting: Setting) -> list[Figure]:
    """Measure the limit, each step and the daemon in each round, forth and back in turns."""
    found: dict[tuple[str, str], list[_Round]] = defaultdict(list)
    for number in range(setting.rounds):
        contenders = [Limit(), *map(Stepped, Step), Stoker()]
        for contender in contenders if number % 2 == 0 else reversed(contenders):
            with tempfile.TemporaryDirectory(dir=setting.folder) as folder:
                contender.start(Path(folder))
                try:
                    for name, load in LOADS.items():
                        scale = QUICK_SCALE if setting.quick else 1.0
                        found[name, contender.name].append(_measured(contender, load, scale))
                finally:
                    contender.stop()
    names = [*(step.name.lower() for step in Step), "stoker"]
    return [_ratio(load, name, found[load, name], found[load, "limit"]) for load in LOADS for name in names]


def _measured(contender: Contender, load: Submits, scale: float) -> _Round:
    before_us = threads_us(contender.pid)
    rate = load.rate(contender, scale)
    return _Round(rate, (threads_us(contender.pid) - before_us) / load.units(scale))


def _ratio(load: str, name: str, rounds: list[_Round], limits: list[_Round]) -> Figure:
    """The median ratio of the rates; the least CPU time of the rounds tells more than any rate on a busy machine."""
    ours_us, limit_us = min(one.cpu_us for one in rounds), min(one.cpu_us for one in limits)
    rates = [[one.rate for one in side] for side in (rounds, limits)]
    return ratio(
        f"{load}, {name}, to the limit", rates[0], rates[1], ">=", None, f"CPU {ours_us:.1f} to {limit_us:.1f} us"
    )
