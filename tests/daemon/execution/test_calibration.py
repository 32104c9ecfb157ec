"""What people were told of times is compared with what became of it."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

from stoker_daemon.execution.calibration import Told
from stoker_daemon.ports import JobStore
from stoker_protocol.errors import ErrorCode, Refused
from stoker_protocol.jobs import Eta
from stoker_protocol.plans import Calibration

TOLD_MS = 1_000_000


class Store:
    """Jobs by when they ended, None: not yet; and a place to keep a text."""

    def __init__(self, **jobs: int | None) -> None:
        self.jobs = jobs
        self.kept: dict[str, str] = {}

    async def job(self, job_id: str) -> Any:
        if job_id not in self.jobs:
            raise Refused(ErrorCode.NOT_FOUND, "gone")
        return SimpleNamespace(job=SimpleNamespace(finished_at_ms=self.jobs[job_id]))

    async def recall(self, key: str) -> str | None:
        return self.kept.get(key)

    async def remember(self, key: str, text: str) -> None:
        self.kept[key] = text


def told(store: Store) -> Told:
    """All four jobs were told to be done in 10 seconds, nine times in ten in 20."""
    one = Told(cast("JobStore", store))
    for job_id in ("soon", "late", "never", "removed"):
        one.note(job_id, TOLD_MS, Eta(10.0, 20.0))
    one.note("soon", TOLD_MS + 60_000, Eta(0.0, 0.0))
    return one


def test_each_job_counts_once_by_what_was_told_first() -> None:
    """We expect the share of jobs that were done by each time, those at work or gone left out."""
    store = Store(soon=TOLD_MS + 9_000, late=TOLD_MS + 15_000, never=None)
    one = told(store)
    for _ in range(2):
        assert asyncio.run(one.calibration()) == Calibration(2, 0.5, 1.0)
    store.jobs["never"] = TOLD_MS + 30_000
    assert asyncio.run(one.calibration()) == Calibration(3, 1 / 3, 2 / 3)


def test_the_tally_outlives_the_daemon() -> None:
    """We expect the next one to go on with what was counted, and nothing to be said before there is anything."""
    store = Store(soon=TOLD_MS)
    assert asyncio.run(told(Store()).calibration()) is None
    asyncio.run(told(store).calibration())
    assert asyncio.run(Told(cast("JobStore", store)).calibration()) == Calibration(1, 1.0, 1.0)
