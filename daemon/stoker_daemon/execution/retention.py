"""Lets go what the config says is old or too much: events, and jobs with their files, in steps that hold nobody up."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import structlog

from stoker_daemon.ports import Blobs, Cleaning, Clock, JobStore
from stoker_protocol.errors import Refused
from stoker_protocol.requests import CleanOutputs

ROUND_S = 600.0
"""Between two rounds."""
LOG_ROUND_S = 2.0
"""Between two looks at how long the log of events is; by what comes in that time it may be too long."""
JUMP_S = 3600.0
"""A clock that went so much faster or slower than time itself is not believed: what it calls old may be new."""
DAY_MS = 86_400_000

log = structlog.get_logger()


class Retention:
    """One task; events are kept for `events_days`, the newest `events_max`, jobs for `jobs_days`, 0: all for ever.

    Input files go when no job has used them for as long. `jumped_s`: how far the clock was set since the daemon began.
    """

    def __init__(
        self,
        store: JobStore,
        cleaning: Cleaning,
        blobs: Blobs,
        clock: Clock,
        jumped_s: Callable[[], float],
        *,
        events_days: float,
        events_max: int,
        jobs_days: float,
    ) -> None:
        self._store = store
        self._cleaning = cleaning
        self._blobs = blobs
        self._clock = clock
        self._jumped_s = jumped_s
        self.keep(events_days, events_max, jobs_days)

    def keep(self, events_days: float, events_max: int, jobs_days: float) -> None:
        """Keep things for so long, and so many, from the next round on."""
        self._events_ms = round(events_days * DAY_MS)
        self._events_max = events_max
        self._jobs_ms = round(jobs_days * DAY_MS)

    async def serve(self) -> None:
        """Go round until cancelled."""
        async with asyncio.TaskGroup() as rounds:
            rounds.create_task(_again_and_again(self._let_go_what_is_old, ROUND_S))
            rounds.create_task(_again_and_again(self._shorten_the_log, LOG_ROUND_S))

    async def _shorten_the_log(self) -> None:
        if not self._events_max:
            return
        with suppress(Refused):  # a disk in trouble is told of elsewhere, and not every two seconds
            while await self._store.forget_events_beyond(self._events_max):
                pass

    async def _let_go_what_is_old(self) -> None:
        if abs(self._jumped_s()) > JUMP_S:
            log.warning("nothing is removed: the clock was set while the daemon ran; restart it if the time is right")
            return
        if self._jobs_ms:
            while (await self._cleaning.clean(CleanOutputs(id="", older_than_ms=self._jobs_ms))).more:
                pass
            while await self._store.forget_some_of_a_job(self._clock.now_ms() - self._jobs_ms):
                pass
            await self._blobs.forget(self._clock.now_ms() - self._jobs_ms)
        if self._events_ms:
            while await self._store.forget_some_events(self._clock.now_ms() - self._events_ms):
                pass


async def _again_and_again(work: Callable[[], Awaitable[None]], every_s: float) -> None:
    while True:
        try:
            await work()
        except Refused as refused:
            log.warning("a round of retention failed", why=refused.message)
        await asyncio.sleep(every_s)
