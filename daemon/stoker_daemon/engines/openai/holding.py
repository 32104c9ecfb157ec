"""Keeps requests back while a server says that they are too many."""

import asyncio
from collections.abc import Callable

FIRST_S, FACTOR, MOST_S = 1.0, 2.0, 30.0
"""How long is waited where the server does not say."""
SHORTEST_S, LONGEST_S = 0.05, 3600.0
"""No less and no more than this is believed of a Retry-After."""
PATIENCE_S = 60.0
"""A run waits no longer than this for a server that takes nothing, so that there is room for other work."""
TELL_S = 1.0
"""How often those who wait say so."""


class Hold:
    """One for all requests to a server, by a clock that never jumps."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        self.reason = ""
        self._now_s = now_s
        self._since_s: float | None = None
        self._until_s = float("-inf")
        self._next_s = FIRST_S

    @property
    def left_s(self) -> float:
        """For how many more seconds nothing is sent."""
        return max(0.0, self._until_s - self._now_s())

    @property
    def is_long(self) -> bool:
        """Whether waiting for it makes no sense."""
        return self.left_s > 0 and self._since_s is not None and self._until_s - self._since_s > PATIENCE_S

    def begin(self, reason: str, retry_after_s: float | None) -> None:
        """The server took no request. Where many were refused together, only the first makes the next wait longer."""
        self.reason = reason
        if self._since_s is None:
            self._since_s = self._now_s()
        if retry_after_s is not None:
            self._until_s = max(self._until_s, self._now_s() + min(LONGEST_S, max(SHORTEST_S, retry_after_s)))
        elif self.left_s == 0:
            self._until_s = self._now_s() + self._next_s
            self._next_s = min(MOST_S, self._next_s * FACTOR)

    def end(self) -> None:
        """The server takes requests again."""
        self._since_s, self._next_s = None, FIRST_S

    async def wait(self, on_waiting: Callable[[], None]) -> bool:
        """Until requests may be sent; False: it takes too long. `on_waiting` is called all the while."""
        while (left_s := self.left_s) > 0:
            if self.is_long:
                return False
            on_waiting()
            await asyncio.sleep(min(left_s, TELL_S))
            on_waiting()
        return True
