"""The traces that policies are compared on, each made from a seed."""

import math
import random
from collections.abc import Callable, Iterator

from benchmarks.scheduling.trace import Arrival, Curve, Model, Trace

SHARES = (5, 15, 50, 30)
"""Urgent, high, normal and low items of a hundred."""
SEED_CURVE = Curve(((1, 2.84), (4, 10.12), (8, 15.04)))
"""Seconds that SDXL was said to take for a batch of so many on a GB10."""
NAMES = "ABCDE"


def backlog(seed: int, items: int = 500) -> Trace:
    """All at once."""
    dice = random.Random(seed)
    return _trace(_draw(dice, (0.0 for _ in range(items))))


def poisson(rate: float, items: int = 500, slots: int = 1) -> Callable[[int], Trace]:
    """One after the other, as if by many people."""

    def make(seed: int) -> Trace:
        dice = random.Random(seed)
        return _trace(_draw(dice, _times(dice, rate, items)), slots=slots)

    return make


def bursty(seed: int, groups: int = 84, size: int = 6) -> Trace:
    """Groups for one model and of one priority, and some models are more popular."""
    dice = random.Random(seed)
    items = [
        Arrival(at_s, model, rank)
        for at_s in _times(dice, 0.025, groups)
        for model, rank in [(_zipf(dice), _rank(dice))]
        for _ in range(size)
    ]
    return _trace(items)


def mixed(seed: int, items: int = 500) -> Trace:
    """Small and large models, short and long runs."""
    dice = random.Random(seed)
    models = {
        name: Model(_log_uniform(dice, 2, 60), _log_uniform(dice, 2, 24), Curve(((1, _log_uniform(dice, 0.2, 25)),)))
        for name in NAMES
    }
    return Trace(models, _draw(dice, _times(dice, 0.12, items)))


def seed_curve(max_batch: int) -> Callable[[int], Trace]:
    """Runs that take a batch, with a published curve."""

    def make(seed: int) -> Trace:
        dice = random.Random(seed)
        models = {name: Model(20.0, 10.0, SEED_CURVE) for name in NAMES}
        items = _draw(dice, _times(dice, 0.30, 500))
        return Trace(models, items, max_batch=max_batch)

    return make


TRACES: dict[str, Callable[[int], Trace]] = {
    "backlog": backlog,
    "light": poisson(0.04),
    "steady": poisson(0.10),
    "busy": poisson(0.20),
    "bursty": bursty,
    "two fit": poisson(0.20, slots=2),
    "mixed": mixed,
    "curve, batch 1": seed_curve(1),
    "curve, batch 8": seed_curve(8),
    "sustained 0.20": poisson(0.20, 3000),
    "sustained 0.22": poisson(0.22, 3000),
    "overload": poisson(0.30, 1500),
}
LONG = frozenset({"sustained 0.20", "sustained 0.22", "overload"})


def _trace(items: list[Arrival], slots: int = 1) -> Trace:
    models = {model: Model(20.0, 10.0, Curve(((1, 4.0),))) for model in NAMES}
    return Trace(models, items, slots=slots)


def _times(dice: random.Random, rate: float, items: int) -> Iterator[float]:
    at_s = 0.0
    for _ in range(items):
        at_s += dice.expovariate(rate)
        yield at_s


def _draw(dice: random.Random, times: Iterator[float]) -> list[Arrival]:
    return [Arrival(at_s, dice.choice(NAMES), _rank(dice)) for at_s in times]


def _rank(dice: random.Random) -> int:
    return dice.choices(range(4), SHARES)[0]


def _zipf(dice: random.Random) -> str:
    return dice.choices(NAMES, [1 / place for place in range(1, len(NAMES) + 1)])[0]


def _log_uniform(dice: random.Random, low: float, high: float) -> float:
    return math.exp(dice.uniform(math.log(low), math.log(high)))
