"""What people may turn about the order of work, and three settings that suit most."""

from dataclasses import dataclass, replace
from typing import Literal


@dataclass(frozen=True, slots=True)
class Dials:
    """How the policy weighs waiting against loading; times are seconds, tuples go from urgent to low.

    `weights`: what a second of waiting costs an item. `caps_s`: after so long an item goes before what is worth more;
    an urgent one cuts in. `cut_ins_per_min` and `cut_in_burst` bound how often. `residency`: a visit lasts at least so
    many times its load. `max_patience`: a load counts at most so many times, however much arrives. `batch_s` bounds a
    run, `urgent_batch_s` does while something urgent waited in the last `urgent_memory_s`. `grouping`: `strict` runs
    are of items that differ in nothing but the seed, `mixed` ones of all that an engine can run together.
    """

    weights: tuple[float, float, float, float] = (64.0, 16.0, 4.0, 1.0)
    caps_s: tuple[float, float, float, float] = (60.0, 900.0, 3600.0, 14400.0)
    cut_ins_per_min: float = 1.0
    cut_in_burst: float = 6.0
    residency: float = 2.0
    max_patience: float = 10.0
    batch_s: float = 30.0
    urgent_batch_s: float = 16.0
    urgent_memory_s: float = 300.0
    grouping: Literal["mixed", "strict"] = "mixed"


BALANCED = Dials()
PRESETS = {
    "interactive": replace(
        BALANCED, caps_s=(20.0, 300.0, 3600.0, 14400.0), residency=1.0, batch_s=8.0, urgent_batch_s=8.0
    ),
    "balanced": BALANCED,
    "throughput": replace(
        BALANCED, weights=(8.0, 4.0, 2.0, 1.0), caps_s=(300.0, 1800.0, 7200.0, 28800.0), residency=4.0
    ),
}
"""By name: for people who wait, for a bit of everything, for long queues that nobody watches."""
