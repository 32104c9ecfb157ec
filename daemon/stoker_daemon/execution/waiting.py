"""Waits for an event, but not for ever, and for the end of tasks."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from typing import Any


class Bell:
    """Wakes the one who waits for it, when it is rung or the time is over; with less ado than `asyncio.wait`."""

    def __init__(self) -> None:
        self._waiting: asyncio.Future[None] | None = None

    def ring(self) -> None:
        """Wake who waits now; others will not hear of it."""
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    async def heard(self, seconds: float) -> None:
        """Return when it rings, or after so many seconds."""
        loop = asyncio.get_running_loop()
        self._waiting = loop.create_future()
        timer = loop.call_later(seconds, self.ring)
        try:
            await self._waiting
        finally:
            timer.cancel()


async def wait_at_most(event: asyncio.Event, seconds: float) -> None:
    """Return when the event is set or the time is over.

    `asyncio.wait_for` would lose a cancellation that comes together with the event: the task then never ends.
    Source: github.com/python/cpython/issues/86296, mended in Python 3.12.
    """
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


async def end_tasks(tasks: "Iterable[asyncio.Task[Any]]") -> None:
    """Have tasks end, if they have not yet, and return when they have; what ended them is for others to ask."""
    ending = list(tasks)
    for task in ending:
        task.cancel()
    await asyncio.gather(*ending, return_exceptions=True)
