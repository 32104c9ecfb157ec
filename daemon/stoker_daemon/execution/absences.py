"""Which engines of a lane can't be started, and when each is tried again: that costs the items nothing but time."""

from collections.abc import Callable, Container, Iterable

from stoker_daemon.ports import Clock


class Absences:
    """Engines that are away. `delay_s(n)` is how long to leave one alone after the n-th vain try in a row."""

    def __init__(self, clock: Clock, delay_s: Callable[[int], float]) -> None:
        self._clock = clock
        self._delay_s = delay_s
        self._tries: dict[str, int] = {}
        self._until_s: dict[str, float] = {}

    def begin(self, engine: str) -> None:
        """It could not be started, once more perhaps."""
        self._tries[engine] = self._tries.get(engine, 0) + 1
        self._until_s[engine] = self._clock.monotonic_s() + self._delay_s(self._tries[engine])

    def end(self, engine: str) -> None:
        """It is there."""
        self._tries.pop(engine, None)
        self._until_s.pop(engine, None)

    def spare(self, engines: Iterable[str]) -> frozenset[str]:
        """Those that may be tried now."""
        now_s = self._clock.monotonic_s()
        return frozenset(engine for engine in engines if self._until_s.get(engine, now_s) <= now_s)

    def left_s(self, limit_s: float, tried: Container[str]) -> float:
        """Seconds until another one may be tried than those that have just been, at most `limit_s`."""
        now_s = self._clock.monotonic_s()
        waits_s = (
            until_s - now_s for engine, until_s in self._until_s.items() if until_s > now_s or engine not in tried
        )
        return max(0.0, min([limit_s, *waits_s]))
