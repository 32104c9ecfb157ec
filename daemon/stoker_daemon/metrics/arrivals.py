"""Remembers when items came, for those of open jobs that were appended later than their job was accepted."""

from bisect import bisect_right
from collections import OrderedDict
from typing import NamedTuple

from stoker_protocol.events import JobAppended
from stoker_protocol.jobs import Job

MAX_JOBS = 1_000
MAX_APPENDS = 10_000
"""Of one job; an item that came before these is not known any more."""


class Appended(NamedTuple):
    """From which index on items came at which time."""

    at: int
    ms: int


class Arrivals:
    """Of the newest jobs that items were appended to, as long as they are not over."""

    def __init__(self) -> None:
        self._of_job: OrderedDict[str, list[Appended]] = OrderedDict()

    def note(self, event: JobAppended) -> None:
        """Items were appended."""
        appends = self._of_job.setdefault(event.job.job_id, [])
        appends.append(Appended(event.at, event.at_ms))
        del appends[:-MAX_APPENDS]
        while len(self._of_job) > MAX_JOBS:
            self._of_job.popitem(last=False)

    def came_ms(self, job: Job, index: int) -> int:
        """When an item of a job came, as far as is known; what was appended before this daemon began, with its job."""
        appends = self._of_job.get(job.job_id, [])
        place = bisect_right(appends, index, key=lambda each: each.at)
        return appends[place - 1].ms if place else job.created_at_ms

    def forget(self, job: Job) -> None:
        """It is over."""
        self._of_job.pop(job.job_id, None)
