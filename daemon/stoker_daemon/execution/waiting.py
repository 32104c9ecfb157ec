"""Waits for an event, but not for ever."""

import asyncio
from contextlib import suppress


async def wait_at_most(event: asyncio.Event, seconds: float) -> None:
    """Return when the event is set or the time is over.

    `asyncio.wait_for` would lose a cancellation that comes together with the event: the task then never ends.
    Source: github.com/python/cpython/issues/86296, mended in Python 3.12.
    """
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
