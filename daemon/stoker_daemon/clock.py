"""Where time comes from."""

import time


class SystemClock:
    """Implements `ports.Clock` with the host's clocks."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic_s(self) -> float:
        return time.monotonic()
