"""Writes the summary file of each job that has ended, also of those that ended just before the daemon did."""

import asyncio

import structlog

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
            try:
                while await self._write_some():
                    pass
            except (OSError, Refused) as error:
                log.warning("a summary could not be written", why=str(error))
            try:
                await asyncio.wait_for(self._wake.wait(), RETRY_S)
            except TimeoutError:
                continue

    async def _write_some(self) -> int:
        folders = await self._store.unsummed()
        for folder in folders:
            await self._artifacts.sum_up(folder)
            await self._store.summed(folder.job.job_id)
        return len(folders)
