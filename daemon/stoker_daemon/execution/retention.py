"""Lets go what the config says is old enough: events, and jobs with their files, in steps that hold nobody up."""

import asyncio

import structlog

from stoker_daemon.ports import Blobs, Cleaning, Clock, JobStore
from stoker_protocol.errors import Refused
from stoker_protocol.requests import CleanOutputs

ROUND_S = 600.0
"""Between two rounds."""
JUMP_S = 3600.0
"""A clock that went so much faster or slower than time itself is not believed: what it calls old may be new."""
DAY_MS = 86_400_000

log = structlog.get_logger()


class Retention:
    """One task; events are kept for `events_days`, jobs for `jobs_days` after their end, 0: for ever.

    Input files go when no job has used them for as long.
    """

    def __init__(
        self,
        store: JobStore,
        cleaning: Cleaning,
        blobs: Blobs,
        clock: Clock,
        *,
        events_days: float,
        jobs_days: float,
    ) -> None:
        self._store = store
        self._cleaning = cleaning
        self._blobs = blobs
        self._clock = clock
        self.keep(events_days, jobs_days)
        self._began_s = self._offset_s()

    def keep(self, events_days: float, jobs_days: float) -> None:
        """Keep things for so long, from the next round on."""
        self._events_ms = round(events_days * DAY_MS)
        self._jobs_ms = round(jobs_days * DAY_MS)

    async def serve(self) -> None:
        """Go round until cancelled."""
        while True:
            try:
                await self._round()
            except Refused as refused:
                log.warning("a round of retention failed", why=refused.message)
            await asyncio.sleep(ROUND_S)

    async def _round(self) -> None:
        if abs(self._offset_s() - self._began_s) > JUMP_S:
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

    def _offset_s(self) -> float:
        """Stays the same while the clock goes as time does."""
        return self._clock.now_ms() / 1000 - self._clock.monotonic_s()
