"""Where time comes from, and whether somebody set the clock."""

import time
from collections.abc import Callable


class SystemClock:
    """Implements `ports.Clock` with the host's clocks."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic_s(self) -> float:
        return time.monotonic()


class Jumps:
    """How far the clock was set since this was made, by hand or by a time service, however long the host slept."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self._began_s = self._offset_s()

    def jumped_s(self) -> float:
        """Seconds, less than nothing if it was set back."""
        return self._offset_s() - self._began_s

    def _offset_s(self) -> float:
        """Stays the same while the clock goes as time does; what it is taken from goes on while the host sleeps."""
        return self._now_ms() / 1000 - time.clock_gettime(time.CLOCK_BOOTTIME)
