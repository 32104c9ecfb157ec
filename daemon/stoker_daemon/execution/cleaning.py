"""Removes the files of old jobs: the intent is committed, then the files go, then their rows; each in small steps."""

import asyncio

from stoker_daemon.execution.holdup import is_of_the_disk
from stoker_daemon.jobs.records import Files, Leaving
from stoker_daemon.ports import Artifacts, Clock, JobStore
from stoker_protocol.errors import ErrorCode, Refused
from stoker_protocol.replies import OutputsCleaned
from stoker_protocol.requests import CleanOutputs

MOMENT_S = 0.5
"""How long one request may take: well within the time after which a client asks again."""
NOTHING_ENDED_MS = -1


class OutputCleaning:
    """Implements `ports.Cleaning`; one job at a time, whoever asks."""

    def __init__(self, store: JobStore, artifacts: Artifacts, clock: Clock) -> None:
        self._store = store
        self._artifacts = artifacts
        self._clock = clock
        self._turn = asyncio.Lock()
        self._answered = ("", OutputsCleaned(jobs=0, artifacts=0, bytes=0))

    async def clean(self, request: CleanOutputs) -> OutputsCleaned:
        """Remove what can be removed in a moment, beginning with what an earlier request or daemon did not finish.

        A request that comes again, because its answer was late, gets the same answer: what it removed is gone by then.

        Raises:
            Refused: `storage_unavailable` or `internal`: a file can't be removed; its rows stay, to try it again.
        """
        before_ms = self._clock.now_ms() - request.older_than_ms
        if request.dry_run:
            jobs, files = await self._store.cleanable(before_ms)
            return OutputsCleaned(jobs=jobs, artifacts=files.artifacts, bytes=files.bytes, dry_run=True)
        return await self._clean(before_ms, request.id)

    async def finish(self) -> None:
        """Bring what is half done to its end. Raises Refused: as `clean`."""
        while (await self._clean(NOTHING_ENDED_MS)).more:
            pass

    async def _clean(self, before_ms: int, request_id: str = "") -> OutputsCleaned:
        async with self._turn:
            if request_id and request_id == self._answered[0]:
                return self._answered[1]
            try:
                done = await self._clean_in_turn(before_ms, self._clock.monotonic_s() + MOMENT_S)
            except OSError as error:
                raise Refused(
                    ErrorCode.STORAGE_UNAVAILABLE if is_of_the_disk(error) else ErrorCode.INTERNAL,
                    f"can't remove {error.filename}: {error.strerror}",
                    hint="see that stokerd may write there, then clean again: it goes on where it stopped",
                ) from None
            self._answered = (request_id, done)
            return done

    async def _clean_in_turn(self, before_ms: int, until_s: float) -> OutputsCleaned:
        jobs, files = 0, Files()
        while leaving := await self._store.begin_leaving(before_ms):
            while (some := await self._step(leaving)) is not None:
                files += some
                if self._clock.monotonic_s() > until_s:
                    return OutputsCleaned(jobs=jobs, artifacts=files.artifacts, bytes=files.bytes, more=True)
            jobs += 1
        return OutputsCleaned(jobs=jobs, artifacts=files.artifacts, bytes=files.bytes)

    async def _step(self, leaving: Leaving) -> Files | None:
        """Go one step on with a job: what left the rows with it, or None when it has parted with all its files."""
        if await self._artifacts.remove_some(leaving.job_id, leaving.created_ms):
            return Files()
        return await self._store.forget_some_artifacts(leaving)
