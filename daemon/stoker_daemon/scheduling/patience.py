"""How dear a load is while more work arrives: from what was offered over the last minutes."""

from collections import deque

from stoker_daemon.scheduling.residency import Key

WINDOW_S = 1200.0
"""Offered work is averaged over so long."""
LEAST_S = 300.0
"""A younger record counts as if it were so old, lest one large job look like a flood."""
BURST_S = 1.0
"""Arrivals no further apart than this are one burst."""


class OfferedLoad:
    """How much work arrives, in seconds of the GPU, and for which models.

    The burst that ends an idle spell does not count: nothing waits behind it yet.
    """

    def __init__(self, since_s: float) -> None:
        self._since_s = since_s
        self._arrived: deque[tuple[float, Key, float]] = deque()
        self._by_key: dict[Key, float] = {}
        self._burst_s: float | None = None

    def arrive(self, now_s: float, key: Key, work_s: float, *, idle: bool) -> None:
        """Work of so many seconds arrived, to an empty queue and an idle GPU or not."""
        if idle or (self._burst_s is not None and now_s - self._burst_s <= BURST_S):
            self._burst_s = now_s
            return
        self._burst_s = None
        self._arrived.append((now_s, key, work_s))
        self._by_key[key] = self._by_key.get(key, 0.0) + work_s

    def rho(self, now_s: float) -> float:
        """Seconds of work that arrive in a second."""
        while self._arrived and self._arrived[0][0] <= now_s - WINDOW_S:
            _, key, work_s = self._arrived.popleft()
            self._by_key[key] -= work_s
            if self._by_key[key] <= 1e-9:
                del self._by_key[key]
        return sum(self._by_key.values()) / min(WINDOW_S, max(LEAST_S, now_s - self._since_s))

    def shares(self) -> dict[Key, float]:
        """Each model's share of the work, as of the last `rho`."""
        total_s = sum(self._by_key.values())
        return {key: work_s / total_s for key, work_s in self._by_key.items()} if total_s else {}


def patience(rho: float, at_most: float) -> float:
    """How many seconds of waiting a second of loading costs while work arrives at the rate `rho`.

    A second lost delays all that comes until the queue is next empty, which takes 1 / (1 - rho) times as long.
    """
    return at_most if rho >= 1 else min(at_most, (1 + rho) / (1 - rho))
