"""How many items share a run: the best rate that memory and patience allow, found step by step."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from stoker_daemon.scheduling.costs import Line

SIZES = (1, 2, 4, 8, 16, 32, 64)
"""What is tried; an engine, or the author of its models, says how many items it takes at once."""
GOOD_ENOUGH = 0.95
"""A smaller batch is preferred when its rate is so near to the best."""
CLEAN_RUNS = 2
"""So many runs without trouble before the next size is tried, and slow ones before a smaller is."""
SLOW = 1.25
"""A run that takes so many times what was expected has run out of memory without a word: weights are streamed."""
LEAST_SLOW_S = 0.5
"""And takes at least so much longer: below that anything may have held it up."""
RUN_S = 0.01
"""What any run costs beside its own time, for claim, commits and messages: very short items had better share one."""
FORGIVEN_S = 3600.0
"""A ceiling is forgotten after so long."""
LEAST_MARGIN_GB, MARGIN = 1.0, 0.1
"""What must stay free, at least, and of all that is free."""


@dataclass(frozen=True, slots=True)
class Memory:
    """What is free, in GB, and what a run of so many items is expected to need, give or take `spread_gb`."""

    free_gb: float
    line: Line
    units_per_item: float = 1.0

    def needs_gb(self, items: int) -> float:
        """What a run of so many items is expected to need."""
        return self.line.at(items * self.units_per_item)

    def fits(self, items: int) -> bool:
        """Whether so many items leave the margin free."""
        return self.needs_gb(items) <= self.free_gb - max(LEAST_MARGIN_GB, MARGIN * self.free_gb)

    def risk(self, items: int) -> float:
        """The probability that a run of so many items fails for want of memory."""
        needs_gb = self.needs_gb(items)
        spread_gb = max(self.line.spread, 0.05 * needs_gb, 1e-6)
        return 0.5 * (1 + math.erf((needs_gb - self.free_gb) / spread_gb / math.sqrt(2)))


@dataclass(frozen=True, slots=True)
class Trials:
    """What one signature has been through: the size that is `proven`, and a `ceiling` since memory ran out.

    `said` tells people of the last step down; `clean` and `slow` count runs in a row.
    """

    proven: int = 8
    clean: int = 0
    slow: int = 0
    ceiling: int = 0
    ceiling_free_gb: float = 0.0
    ceiling_at_s: float = 0.0
    said: str = ""

    def allowed(self, at_most: int, memory: Memory | None, now_s: float) -> int:
        """The largest size that may be tried now; without known memory only what was seen bounds it."""
        limit = min(at_most, self.proven)
        if self.clean >= CLEAN_RUNS:
            limit = min(at_most, 2 * self.proven)
        if self.ceiling and not self._is_forgiven(memory, now_s):
            limit = min(limit, self.ceiling)
        while memory is not None and limit > 1 and not memory.fits(limit):
            limit //= 2
        return max(1, limit)

    def went_well(self, items: int, seconds: float, expected_s: float, at_s: float) -> "Trials":
        """A run of so many items ended; one that was far slower than expected counts against its size."""
        if seconds > max(SLOW * expected_s, expected_s + LEAST_SLOW_S) and items > 1:
            if self.slow + 1 < CLEAN_RUNS:
                return replace(self, slow=self.slow + 1, clean=0)
            said = f"batches of {items} take {seconds:.1f} s instead of {expected_s:.1f} s: memory seems to be short"
            return self._down(items, 0.0, at_s, said)
        if items < self.proven:
            return replace(self, slow=0) if self.slow else self
        return replace(self, proven=items, clean=1 if items > self.proven else self.clean + 1, slow=0)

    def ran_out(self, items: int, free_gb: float, at_s: float) -> "Trials":
        """A run of so many items failed for want of memory, of which so much had been free."""
        return self._down(items, free_gb, at_s, f"a batch of {items} ran out of memory")

    def _down(self, items: int, free_gb: float, at_s: float, said: str) -> "Trials":
        half = max(1, items // 2)
        return Trials(half, ceiling=half, ceiling_free_gb=free_gb, ceiling_at_s=at_s, said=said)

    def _is_forgiven(self, memory: Memory | None, now_s: float) -> bool:
        if now_s - self.ceiling_at_s >= FORGIVEN_S:
            return True
        if memory is None or not self.ceiling_free_gb:
            return False
        return memory.free_gb - self.ceiling_free_gb > memory.line.slope * memory.units_per_item


def first_trials(controls: int) -> Trials:
    """Where to begin: 8 items, half as many for each active control (LoRA, ControlNet, mask ...)."""
    return Trials(proven=max(1, 8 >> controls))


def best_size(
    ready: int,
    allowed: int,
    run_s: Callable[[int], float],
    at_most_s: float,
    *,
    load_s: float = 0.0,
    memory: Memory | None = None,
) -> int:
    """How many of the ready items share the next run: the smallest number whose rate is near the best.

    A rate counts what running out of memory would cost: the items and a new load. Runs last at most `at_most_s`.
    """
    most = min(ready, allowed)
    sizes = [size for size in SIZES if size < most] + [most]
    within = [size for size in sizes if run_s(size) <= at_most_s] or [1]
    rates = [_rate(size, RUN_S + run_s(size), load_s, memory) for size in within]
    enough = GOOD_ENOUGH * max(rates)
    return next(size for size, rate in zip(within, rates, strict=True) if rate >= enough)


def _rate(items: int, seconds: float, load_s: float, memory: Memory | None) -> float:
    risk = memory.risk(items) if memory else 0.0
    return (1 - risk) * items / max(1e-9, seconds + risk * load_s)
