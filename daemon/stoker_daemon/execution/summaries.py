"""Writes the summary file of each job that has ended, also of those that ended just before the daemon did."""

import asyncio

import structlog

from stoker_daemon.execution.waiting import wait_at_most
from stoker_daemon.jobs.records import Commit
from stoker_daemon.ports import Artifacts, JobStore
from stoker_protocol.errors import Refused

RETRY_S = 30.0
"""How soon a summary that could not be written is tried again."""

log = structlog.get_logger()


class Summaries:
    """One task that sums up final jobs; a commit wakes it."""

    def __init__(self, store: JobStore, artifacts: Artifacts) -> None:
        self._store = store
        self._artifacts = artifacts
        self._wake = asyncio.Event()

    def committed(self, commit: Commit) -> None:
        """Hear of a commit: a job may have ended."""
        if commit.has_ended:
            self._wake.set()

    async def serve(self) -> None:
        """Write what is due until cancelled."""
        while True:
            self._wake.clear()
            await self.write_due()
            await wait_at_most(self._wake, RETRY_S)

    async def write_due(self) -> None:
        """Write what is due; what can't be written now waits for the next time."""
        try:
            while await self._write_some():
                pass
        except Refused as error:
            log.warning("summaries could not be noted", why=str(error))

    async def _write_some(self) -> int:
        """How many of the next ones could be written: one that can't be does not hold up the others."""
        written = 0
        for folder in await self._store.unsummed():
            try:
                await self._artifacts.sum_up(folder)
            except OSError as error:
                log.warning("a summary could not be written", job=folder.job.job_id, why=str(error))
            else:
                await self._store.summed(folder.job)
                written += 1
        return written
