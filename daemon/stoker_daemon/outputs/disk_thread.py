"""A thread that waits for the disk so that the event loop need not."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from threading import Condition, Thread
from typing import Any, TypeVar

A = TypeVar("A")
R = TypeVar("R")

MAX_WAITING = 64
"""Jobs handed to the thread; more wait for room on the loop."""
CLOSE_LIMIT_S = 10.0


@dataclass(frozen=True, slots=True)
class _Job:
    work: Callable[[list[Any]], Sequence[Any]]
    argument: Any
    future: Future[Any]


class DiskThread:
    """Does jobs strictly in order. `close` ends it once they are done."""

    def __init__(self, name: str) -> None:
        self._jobs: list[_Job] = []
        self._is_closed = False
        self._changed = Condition()
        self._room = asyncio.Semaphore(MAX_WAITING)
        self._ended: Future[None] = Future()
        # A disk that hangs for ever must not keep the process alive.
        Thread(target=self._serve, name=name, daemon=True).start()

    async def do(self, work: Callable[[], R]) -> R:
        """What `work` returns or raises. Cancelled before its turn, it is not done at all."""
        return await self.do_together(lambda _: [work()], None)

    async def do_together(self, work: Callable[[list[A]], Sequence[R | Exception]], argument: A) -> R:
        """What `work` makes of the argument; it gets those of all jobs with the same `work` that wait in a row."""
        async with self._room:
            future: Future[R] = Future()
            with self._changed:
                if self._is_closed:
                    raise RuntimeError("the output tree is closed")
                self._jobs.append(_Job(work, argument, future))
                self._changed.notify()
            return await asyncio.wrap_future(future)

    async def close(self) -> None:
        """Take no more jobs and wait for those that were taken, at most CLOSE_LIMIT_S."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()
        await asyncio.wait([asyncio.wrap_future(self._ended)], timeout=CLOSE_LIMIT_S)

    def _serve(self) -> None:
        while jobs := self._take_all():
            for work, together in groupby(jobs, key=attrgetter("work")):
                if wanted := [job for job in together if job.future.set_running_or_notify_cancel()]:
                    _do(work, wanted)
        self._ended.set_result(None)

    def _take_all(self) -> list[_Job]:
        """The jobs that wait, at least one; none when it is over."""
        with self._changed:
            self._changed.wait_for(lambda: self._jobs or self._is_closed)
            jobs, self._jobs = self._jobs, []
            return jobs


def _do(work: Callable[[list[Any]], Sequence[Any]], jobs: list[_Job]) -> None:
    try:
        outcomes = work([job.argument for job in jobs])
    except Exception as error:  # noqa: BLE001  # whatever is wrong with a job is for those who wait for it
        outcomes = [error] * len(jobs)
    for job, outcome in zip(jobs, outcomes, strict=True):
        if isinstance(outcome, Exception):
            job.future.set_exception(outcome)
        else:
            job.future.set_result(outcome)
