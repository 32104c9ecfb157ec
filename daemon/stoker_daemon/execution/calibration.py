"""Whether jobs were done when people were told that they would be."""

import msgspec
from msgspec import Struct

from stoker_daemon.ports import JobStore
from stoker_protocol.errors import Refused
from stoker_protocol.jobs import Eta
from stoker_protocol.plans import Calibration

MOST_TOLD = 1_000
"""Jobs that are looked after; those beyond were told last and are forgotten first."""
KEY = "calibration"


class _Tally(Struct):
    """How many jobs were done by then."""

    count: int = 0
    by_p50: int = 0
    by_p90: int = 0


class Told:
    """What was first said of each job, compared with what became of it; the tally is kept in the store."""

    def __init__(self, store: JobStore) -> None:
        self._store = store
        self._told: dict[str, tuple[int, Eta]] = {}

    def note(self, job_id: str, at_ms: int, done_s: Eta) -> None:
        """Somebody was told that a job would be done then; only the first word counts."""
        if len(self._told) < MOST_TOLD:
            self._told.setdefault(job_id, (at_ms, done_s))

    async def calibration(self) -> Calibration | None:
        """How the jobs that are over kept to what was told; None: none is."""
        text = await self._store.recall(KEY)
        tally = _Tally() if text is None else msgspec.json.decode(text, type=_Tally)
        before = tally.count
        for job_id, (at_ms, done_s) in list(self._told.items()):
            await self._compare(tally, job_id, at_ms, done_s)
        if tally.count != before:
            await self._store.remember(KEY, msgspec.json.encode(tally).decode())
        if not tally.count:
            return None
        return Calibration(tally.count, tally.by_p50 / tally.count, tally.by_p90 / tally.count)

    async def _compare(self, tally: _Tally, job_id: str, at_ms: int, done_s: Eta) -> None:
        try:
            job = (await self._store.job(job_id)).job
        except Refused:  # removed meanwhile
            del self._told[job_id]
            return
        if job.finished_at_ms is not None:
            del self._told[job_id]
            took_s = (job.finished_at_ms - at_ms) / 1000
            tally.count += 1
            tally.by_p50 += took_s <= done_s.p50
            tally.by_p90 += took_s <= done_s.p90
