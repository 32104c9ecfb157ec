"""Waits for an event, but not for ever, and for the end of tasks."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from typing import Any


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
