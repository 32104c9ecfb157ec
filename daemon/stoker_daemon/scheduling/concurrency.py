"""How many requests are under way at a time: a fixed number, or as many as the server takes and answers quickly."""

import math
from collections.abc import Sequence
from enum import Enum, auto

from stoker_daemon.scheduling.limits import ServerLimits

RETURN, PLATEAU = 0.9, 10
"""After a refusal the way back is quick up to so much of where it was, and takes so many rounds a step from there."""
CALMER, BUSIER = 0.1, 0.02
"""How readily what is usual is taken to be less, and more: a server that has time is what counts."""
START = 1.5
"""So many times as many after each round, until one is slow or a request is refused."""
MISSES = 2
"""So many slow rounds in a row: one may be chance."""


class Ending(Enum):
    """How a request ended, as far as the number of requests at a time may have to do with it."""

    GOOD = auto()
    FAILED = auto()
    REFUSED = auto()
    """The server takes no more, or did not answer in time."""


class Concurrency:
    """Requests at a time, by what became of those before: more by one, less by a share (AIMD).

    Source: D.-M. Chiu and R. Jain, 1989; the quick way back after a cut is that of CUBIC, RFC 9438.
    """

    def __init__(self, limits: ServerLimits) -> None:
        self._limits = limits
        self._now = float(limits.concurrency)
        self._target_s = limits.target_latency_ms / 1000
        self._usual_s: tuple[float, float] | None = None
        self._refused_at = math.inf
        self._slow_rounds = 0
        self._calm_rounds = 0
        self._deaf_until = 0
        self._ended = 0
        self._took_some = True
        self._is_starting = True
        self._begin_round()

    @property
    def limit(self) -> int:
        """Requests that may be under way now."""
        return round(self._now)

    def ended(self, ending: Ending, latency_s: float, under_way: int) -> None:
        """A request ended that was one of so many `under_way`; its answer began after `latency_s`."""
        if self._limits.mode == "fixed":
            return
        self._ended += 1
        self._most = max(self._most, under_way)
        if ending is Ending.REFUSED:
            self._refuse()
            return
        self._endings.append(ending)
        self._took_some = True
        if ending is Ending.GOOD:
            self._latencies_s.append(latency_s)
        if len(self._endings) >= max(self._limits.window, self.limit):
            self._judge()
            self._begin_round()

    def _refuse(self) -> None:
        """Those that were under way with a refused one say nothing new, nor do others while nothing at all is taken."""
        if self._ended < self._deaf_until or not self._took_some:
            return
        self._deaf_until = self._ended + self.limit
        self._took_some = self._is_starting = False
        self._refused_at, self._calm_rounds = self._now, 0
        self._set(self._now * self._limits.cut)
        self._begin_round()

    def _judge(self) -> None:
        """What a round says."""
        good = len(self._latencies_s) / len(self._endings)
        is_slow = self._limits.mode == "adaptive" and bool(self._latencies_s) and self._is_slow(self._latencies_s)
        self._slow_rounds = self._slow_rounds + 1 if is_slow else 0
        self._is_starting &= not is_slow
        if good < self._limits.success or self._slow_rounds >= MISSES:
            self._slow_rounds = 0
            self._set(self._now * self._limits.ease)
        elif good >= self._limits.raise_success and not is_slow and self._most >= self.limit:
            self._raise()

    def _raise(self) -> None:
        """One more, or several on the way back to where it was before a refusal, but slowly where that was."""
        near = RETURN * self._refused_at
        if self._is_starting:
            self._set(max(self._now + 1, self._now * START))
            return
        if self._now < near < math.inf:
            self._set(min(max(self._now + 1, (self._now + near) / 2), max(near, self._now)))
            return
        self._calm_rounds += 1
        if self._now > self._refused_at or self._calm_rounds >= PLATEAU or self._refused_at == math.inf:
            self._calm_rounds = 0
            self._set(self._now + 1)

    def _is_slow(self, latencies_s: Sequence[float]) -> bool:
        """Whether a round was slower than is usual: its slowest answers and its middle, as either may be by chance."""
        by_speed_s = sorted(latencies_s)
        half_s, late_s = (by_speed_s[math.ceil(share * len(by_speed_s)) - 1] for share in (0.5, 0.95))
        usual_half_s, usual_late_s = self._usual_s or (half_s, late_s)
        self._usual_s = (_drift(usual_half_s, half_s), _drift(usual_late_s, late_s))
        factor = self._limits.latency_factor
        is_late = usual_late_s <= self._target_s < late_s
        return is_late or (half_s > factor * usual_half_s and late_s > factor * usual_late_s)

    def _set(self, requests: float) -> None:
        self._now = min(max(requests, self._limits.min_concurrency), self._limits.max_concurrency)

    def _begin_round(self) -> None:
        self._endings: list[Ending] = []
        self._latencies_s: list[float] = []
        self._most = 0


def _drift(usual_s: float, now_s: float) -> float:
    return usual_s + (CALMER if now_s < usual_s else BUSIER) * (now_s - usual_s)
