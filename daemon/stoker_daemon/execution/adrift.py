"""Runs out of sight: an engine may go on with them, so nothing is said of their items before it has been asked."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import structlog

from stoker_daemon.execution.naming import ids_of
from stoker_daemon.jobs.records import EngineFailure, Interrupted, Result, Run
from stoker_daemon.ports import Artifacts, ClaimOrder, Engine, JobStore

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Drifting:
    """A run out of sight. Of one that this daemon began: as it was claimed, and what becomes of it if it is lost."""

    run: Interrupted
    claimed: Run | None = None
    results: Sequence[Result] = ()


class Adrift:
    """The runs of one lane that are out of sight. `lost_again(failure, engine)` hears of an engine still away."""

    def __init__(
        self,
        engines: Mapping[str, Engine],
        store: JobStore,
        artifacts: Artifacts,
        lost_again: Callable[[str, EngineFailure], None],
    ) -> None:
        self._engines = engines
        self._store = store
        self._artifacts = artifacts
        self._lost_again = lost_again
        self._drifting: dict[str, _Drifting] = {}

    def add(self, run: Interrupted) -> None:
        """A run that an earlier daemon began."""
        self._drifting[run.run_id] = _Drifting(run)

    def let_go(self, run: Run, results: Sequence[Result]) -> None:
        """A run at work whose engine can't be reached any more."""
        lost = Interrupted(run.run_id, run.lane, run.signature.engine, run.members, frozenset())
        self._drifting[run.run_id] = _Drifting(lost, run, results)

    def holds(self, run_id: str) -> bool:
        """Whether a run is out of sight."""
        return run_id in self._drifting

    async def next_run(self, order: ClaimOrder, is_unwanted: Callable[[Run], bool]) -> Run | None:
        """A run to go on with: its engine is one of the order's and has something of it.

        A run that its engine has lost, or that nobody wants any more, is settled.
        """
        for drifting in list(self._drifting.values()):
            run = drifting.run
            claimed = drifting.claimed or await self._store.take_up(run, order)
            if is_unwanted(claimed):
                await self._engines[run.engine].interrupt(run.run_id)
                await self._settle(drifting)
            elif run.engine in order.engines:
                try:
                    is_held = await self._engines[run.engine].holds(run)
                except EngineFailure as failure:
                    self._lost_again(run.engine, failure)
                    continue
                if is_held:
                    del self._drifting[run.run_id]
                    return claimed
                await self._settle(drifting)
        return None

    async def _settle(self, drifting: _Drifting) -> None:
        """Say what became of the members of a run that is over."""
        run = drifting.run
        if drifting.claimed:
            await self._store.record([(drifting.claimed, drifting.results)], None)
        else:
            await self._artifacts.forget_unknown(run.members, run.known_paths)
            await self._store.hand_back(run)
        del self._drifting[run.run_id]
        log.info("a run out of sight was settled", **ids_of(run), items=len(run.members))
