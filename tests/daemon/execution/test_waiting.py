"""A bounded wait ends with its event, with its time, or with its task, whichever comes first."""

import asyncio

import pytest

from stoker_daemon.execution.waiting import Bell, wait_at_most

LIMIT_S = 30.0


@pytest.mark.parametrize("turns", range(6))
def test_cancellation_is_never_lost(turns: int) -> None:
    """We expect a task that is cancelled right after its event to be cancelled, however far the news has come."""

    async def run() -> None:
        event = asyncio.Event()
        task = asyncio.create_task(wait_at_most(event, LIMIT_S))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        event.set()
        for _ in range(turns):
            await asyncio.sleep(0)
        if task.cancel():
            with pytest.raises(asyncio.CancelledError):
                await task
        else:
            assert task.done()

    asyncio.run(run())


def test_end_of_the_wait() -> None:
    """We expect the wait to end with the event, also one set before, and without it when its time is over."""

    async def run() -> None:
        event = asyncio.Event()
        await wait_at_most(event, 0.001)
        async with asyncio.timeout(LIMIT_S):
            asyncio.get_running_loop().call_soon(event.set)
            await wait_at_most(event, 10 * LIMIT_S)
            await wait_at_most(event, 10 * LIMIT_S)

    asyncio.run(run())


def test_bell() -> None:
    """We expect a bell to wake who waits when it rings or the time is over, and a ring that nobody hears to be lost."""

    async def run() -> None:
        bell = Bell()
        bell.ring()
        await bell.heard(0.001)
        async with asyncio.timeout(LIMIT_S):
            asyncio.get_running_loop().call_soon(bell.ring)
            await bell.heard(2 * LIMIT_S)

    asyncio.run(run())
