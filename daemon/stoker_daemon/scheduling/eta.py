"""How far a job is and when it will be done, from what its finished items took."""

import math
from collections import deque

from stoker_protocol.jobs import Eta, ItemCounts

WINDOW = 64
"""Runs that a rate is taken from: enough to smooth, few enough to follow a change."""
NINETIETH = 1.2816
"""Standard deviations from the mean to the 90th percentile of a normal distribution."""


class Pace:
    """What the last runs of one job took."""

    def __init__(self) -> None:
        self._seconds_per_item: deque[tuple[float, int]] = deque(maxlen=WINDOW)

    def note(self, seconds: float, items: int) -> None:
        """A run of so many items took so long; one that never began says nothing of the pace."""
        if items and seconds > 0:
            self._seconds_per_item.append((seconds / items, items))

    def items_per_s(self) -> float | None:
        """The rate over the window, or None before the first run."""
        if not self._seconds_per_item:
            return None
        items = sum(count for _, count in self._seconds_per_item)
        return items / sum(each * count for each, count in self._seconds_per_item)

    def eta(self, remaining: float) -> Eta | None:
        """When `remaining` items are done if they alone run from now on.

        The sum of independent items: its mean grows with their number, its deviation with the square root.
        """
        rate = self.items_per_s()
        if rate is None:
            return None
        mean = 1 / rate
        total = sum(count for _, count in self._seconds_per_item)
        variance = sum(count * (each - mean) ** 2 for each, count in self._seconds_per_item) / total
        p50 = remaining * mean
        return Eta(p50=p50, p90=p50 + NINETIETH * math.sqrt(variance * remaining))


def percent(counts: ItemCounts, running: int, fraction: float) -> float:
    """How much of a job is done, 0 to 100: finished items, and the running ones by their fraction (0 to 1)."""
    if not counts.total:
        return 0.0
    return round(100 * (counts.finished + running * fraction) / counts.total, 2)
