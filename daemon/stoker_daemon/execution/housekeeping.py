"""What has to be done from time to time, in steps that hold nobody up."""

import asyncio

import structlog

from stoker_daemon.execution.cleaning import OutputCleaning
from stoker_daemon.ports import JobStore
from stoker_protocol.errors import Refused

ROUND_S = 10.0
"""Between two rounds."""

log = structlog.get_logger()


class Housekeeping:
    """One task that holds back open jobs whose client seems to have forgotten them for `idle_s` seconds.

    It also brings a removal of files to its end that somebody, or an earlier daemon, left half done.
    """

    def __init__(self, store: JobStore, cleaning: OutputCleaning, idle_s: float) -> None:
        self._store = store
        self._cleaning = cleaning
        self.idle_s = idle_s

    async def serve(self) -> None:
        """Go round until cancelled."""
        while True:
            try:
                if paused := await self._store.pause_idle(self.idle_s):
                    log.info("held back idle open jobs", jobs=paused)
                await self._cleaning.finish()
            except Refused as refused:
                log.warning("a round of housekeeping failed", why=refused.message)
            await asyncio.sleep(ROUND_S)
