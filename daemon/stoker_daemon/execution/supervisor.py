"""Bounds a run at work: when it takes too long, falls silent or is to stop, climbs a ladder until it has ended."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from stoker_daemon.execution.observer import Observer
from stoker_daemon.execution.waiting import Bell
from stoker_daemon.jobs.records import EngineFailure, Run
from stoker_daemon.ports import Clock, Engine
from stoker_protocol.errors import FailureKind

SHUTDOWN = "shutdown"
"""Why a run is stopped when the daemon is to end."""
KILL_GRACE_S = 10.0
"""A killed process is gone at once, unless the kernel holds it in a driver call; then the lane goes on without it."""


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds that a model may take to load, and a run to end after it, then its process, was asked to."""

    load_s: float
    interrupt_s: float
    terminate_s: float


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run ended: to its end, or stopped for a `reason`, or by a `failure` of the engine."""

    reason: str = ""
    failure: EngineFailure | None = None


class Supervisor:
    """Watches one run of one engine; `stop` has it ended for a reason, the first reason counts."""

    def __init__(
        self,
        run: Run,
        engine: Engine,
        observer: Observer,
        clock: Clock,
        patience: Patience,
        tell_rung: Callable[[str, str], Awaitable[None]],
    ) -> None:
        """`tell_rung(rung, reason)` makes each step up the ladder known."""
        self._run = run
        self._engine = engine
        self._observer = observer
        self._clock = clock
        self._patience = patience
        self._tell_rung = tell_rung
        self._reason = ""
        self._is_shutdown = False
        self._bell = Bell()

    @property
    def is_stopped(self) -> bool:
        """Whether somebody wants the run ended."""
        return bool(self._reason)

    def stop(self, reason: str) -> None:
        """Have the run ended."""
        self._reason = self._reason or reason
        self._is_shutdown = self._is_shutdown or reason == SHUTDOWN
        self._bell.ring()

    async def watch(self, call: Coroutine[Any, Any, bool]) -> Ending:
        """Bring the call, which loads and runs, to its end, whatever that takes."""
        task = asyncio.ensure_future(self._ring_after(call))
        reason = await self._until_due(task)
        if not task.done():
            await self._climb(task, reason)
        if not task.done():
            task.cancel()
            message = "the engine could not be ended; the lane goes on without it"
            return Ending(reason, EngineFailure(FailureKind.CRASH, message, died=True))
        return _ending(task, self._reason or reason)

    async def _ring_after(self, call: Coroutine[Any, Any, bool]) -> bool:
        """The call, with the bell at its end: a turn sooner than one hears of the end of a task."""
        try:
            return await call
        finally:
            self._bell.ring()

    async def _until_due(self, task: "asyncio.Future[bool]") -> str:
        """Wait until the call has ended by itself or must be ended; then why.

        A cancel or a pause waits for a load at work: the call itself looks for it before it runs, and the model stays
        resident. The end of the daemon does not wait.
        """
        began_s = self._clock.monotonic_s()
        while not task.done():
            if self._reason and (not self._observer.is_loading or self._is_shutdown):
                return self._reason
            due_s, reason = self._deadline(began_s)
            left_s = due_s - self._clock.monotonic_s()
            if left_s <= 0:
                return reason
            # The run may begin meanwhile, and is not late before this is over.
            await self._bell.heard(min(left_s, self._run.limits.no_progress_s, self._run.limits.timeout_s))
        return ""

    def _deadline(self, began_s: float) -> tuple[float, str]:
        """When the call is late, and for what."""
        limits, running_since_s = self._run.limits, self._observer.running_since_s
        if running_since_s is None:
            return began_s + self._patience.load_s, FailureKind.TIMEOUT
        return min(
            (running_since_s + limits.timeout_s * len(self._run.members), FailureKind.TIMEOUT),
            (self._observer.last_progress_s + limits.no_progress_s, FailureKind.NO_PROGRESS),
        )

    async def _climb(self, task: "asyncio.Future[bool]", reason: str) -> None:
        """Ask the run, then ask its process, then end the process; each rung only if the one before did not do."""
        rungs: tuple[tuple[str, Callable[[], Awaitable[None]], float], ...] = (
            ("interrupt", lambda: self._engine.interrupt(self._run.run_id), self._patience.interrupt_s),
            ("terminate", lambda: self._engine.terminate(force=False), self._patience.terminate_s),
            ("kill", lambda: self._engine.terminate(force=True), KILL_GRACE_S),
        )
        for rung, act, grace_s in rungs:
            await self._tell_rung(rung, reason)
            await act()
            await asyncio.wait({task}, timeout=grace_s)
            if task.done():
                return


def _ending(task: "asyncio.Future[bool]", reason: str) -> Ending:
    error = task.exception()
    if error is None:
        return Ending("" if task.result() else reason)
    if isinstance(error, EngineFailure):
        return Ending(reason, error)
    return Ending(reason, EngineFailure(FailureKind.INTERNAL, f"{type(error).__name__}: {error}"))
