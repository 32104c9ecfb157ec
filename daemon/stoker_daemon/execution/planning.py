"""Looks ahead: which runs are to come, why a job does not run yet, and plans carried out as they were shown."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from secrets import token_hex

from stoker_daemon.execution.calibration import Told
from stoker_daemon.execution.lane import Lane
from stoker_daemon.execution.reasons import Situation, why
from stoker_daemon.jobs.records import WaitingLot
from stoker_daemon.ports import Clock, Engine, JobStore
from stoker_daemon.scheduling.deciding import InWaves
from stoker_daemon.scheduling.forecasting import Forecast, forecast
from stoker_daemon.scheduling.plan import PlannedRun, Wave
from stoker_daemon.scheduling.wording import why_chosen
from stoker_protocol import plans as words
from stoker_protocol.errors import ErrorCode, Refused
from stoker_protocol.jobs import Eta
from stoker_protocol.plans import Calibration, Grouping
from stoker_protocol.replies import Plan, PlanBegun, Why
from stoker_protocol.requests import ResumeWork

MAX_SHOWN = 16
"""Plans that may still be carried out: people act on the last few that they saw."""


@dataclass(frozen=True, slots=True)
class _Shown:
    """A plan that was shown, with all that it rests on."""

    grouping: Grouping
    lots: tuple[WaitingLot, ...]
    forecasts: Mapping[str, Forecast]


class Planner:
    """Implements `ports.Planning` for the lanes that work in waves; others take what is next by priority."""

    def __init__(self, store: JobStore, lanes: Sequence[Lane], engines: Mapping[str, Engine], clock: Clock) -> None:
        self._store = store
        self._lanes = {lane.name: lane for lane in lanes}
        self._engines = engines
        self._clock = clock
        self._shown: dict[str, _Shown] = {}
        self._told = Told(store)

    async def plan(self, grouping: Grouping | None = None) -> Plan:
        shown, is_whole = await self._look(grouping)
        is_paused = (await self._store.queue()).paused is not None
        token, shown = self._known(shown)
        made, jobs = shown.forecasts.values(), _jobs(shown)
        for job in jobs:
            if job.done_s is not None and not is_paused:
                self._told.note(job.job_id, self._clock.now_ms(), job.done_s)
        return Plan(
            token=token,
            at_ms=self._clock.now_ms(),
            waves=[self._wave(lane, each, wave) for lane, each in shown.forecasts.items() for wave in each.plan.waves],
            jobs=jobs,
            done_s=Eta(
                max((each.busy_s + each.plan.p50_s for each in made), default=0.0),
                max((each.busy_s + each.plan.p90_s for each in made), default=0.0),
            ),
            fifo_s=max((each.fifo_s for each in made), default=0.0),
            single_s=max((each.single_s for each in made), default=0.0),
            is_whole=is_whole and all(each.plan.is_whole for each in made),
            is_paused=is_paused,
            grouping=shown.grouping,
        )

    @property
    def _grouping(self) -> Grouping:
        """How lanes group what nobody planned: all alike."""
        for lane in self._lanes.values():
            if isinstance(lane.decider, InWaves):
                return lane.decider.dials.grouping
        return "mixed"

    async def calibration(self) -> Calibration | None:
        return await self._told.calibration()

    async def why(self, job_id: str) -> Why:
        job = (await self._store.job(job_id)).job
        shown, _ = await self._look()
        lane = next((lane for lane in self._lanes.values() if job.engine in lane.engines), None)
        engine = self._engines.get(job.engine)
        situation = Situation(
            job=job,
            queue=await self._store.queue(),
            lane=lane and lane.status(),
            engine=None if engine is None else engine.facts(),
            away_s=lane.away_s(job.engine) if lane else None,
            unfit=lane.unfit(job.engine) if lane else "",
            back_off_ms=await self._store.back_off_ends_ms(job_id),
            lot=next((lot for lot in shown.lots if lot.job_id == job_id), None),
            forecast=shown.forecasts.get(lane.name) if lane else None,
            dials=lane.decider.dials if lane and isinstance(lane.decider, InWaves) else None,
        )
        return why(situation, self._clock.now_ms())

    async def execute(self, token: str, author: str) -> PlanBegun:
        shown = self._shown.pop(token, None)
        if shown is None:
            raise _stale("this daemon has shown no such plan, or too many since")
        now, _ = await self._look(shown.grouping)
        if now.lots != shown.lots:
            raise _stale("what waits has changed")
        if not _still_holds(shown, now):
            raise _stale("what is loaded has changed, or what loads and runs are thought to take")
        runs = 0
        for name, each in shown.forecasts.items():
            decider = self._lanes[name].decider
            assert isinstance(decider, InWaves)  # others have no forecast
            planned = [run for wave in each.plan.waves for run in wave.runs]
            decider.follow(planned)
            runs += len(planned)
        await self._store.resume(ResumeWork(id=""), author)
        return PlanBegun(runs=runs, items=sum(_items(each) for each in shown.forecasts.values()))

    async def _look(self, grouping: Grouping | None = None) -> tuple[_Shown, bool]:
        """What waits, and what becomes of it; whether all of it was looked at."""
        grouping = grouping or self._grouping
        waiting = await self._store.waiting(alike=grouping == "strict")
        now_ms = self._clock.now_ms()
        forecasts: dict[str, Forecast] = {}
        for name, lane in self._lanes.items():
            if isinstance(lane.decider, InWaves):
                lots = [lot for lot in waiting.lots if lot.signature.engine in lane.engines]
                outlook = lane.decider.outlook({lot.signature_id: lot.signature for lot in lots}, now_ms)
                forecasts[name] = await asyncio.to_thread(forecast, lots, outlook, now_ms, lane.busy_s())
        return _Shown(grouping, waiting.lots, forecasts), waiting.is_whole

    def _known(self, shown: _Shown) -> tuple[str, _Shown]:
        """A plan with its token: that which was shown before, as long as nothing has changed."""
        for token, before in self._shown.items():
            if (before.grouping, before.lots) == (shown.grouping, shown.lots) and _still_holds(before, shown):
                return token, before
        while len(self._shown) >= MAX_SHOWN:
            del self._shown[next(iter(self._shown))]
        token = token_hex(8)
        self._shown[token] = shown
        return token, shown

    def _wave(self, lane: str, each: Forecast, wave: Wave) -> words.Wave:
        decider = self._lanes[lane].decider
        assert isinstance(decider, InWaves)  # others have no forecast
        return words.Wave(
            lane=lane,
            engine=wave.key.engine,
            model=wave.key.residency,
            evicts=[key.residency for key in wave.evicts],
            load_s=wave.load_s,
            runs=[_run(each.busy_s, run) for run in wave.runs],
            reason=why_chosen(wave.reason, decider.dials),
        )


def _still_holds(shown: _Shown, now: _Shown) -> bool:
    return all(each.still_holds(now.forecasts[lane]) for lane, each in shown.forecasts.items())


def _stale(why: str) -> Refused:
    return Refused(ErrorCode.STALE_PLAN, why, field="token", hint="look at the plan anew")


def _items(each: Forecast) -> int:
    return sum(run.items for wave in each.plan.waves for run in wave.runs)


def _run(busy_s: float, run: PlannedRun) -> words.PlannedRun:
    shares = [words.Share(share.job_id, share.items) for share in run.shares]
    return words.PlannedRun(shares, Eta(busy_s + run.p50_s, busy_s + run.p90_s), run.run_s)


def _jobs(shown: _Shown) -> list[words.PlannedJob]:
    """When each job that waits is expected to begin and to be done, in the order that they begin."""
    left: Counter[str] = Counter()
    for lot in shown.lots:
        left[lot.job_id] += lot.items
    starts: dict[str, Eta] = {}
    ends: dict[str, Eta] = {}
    for each in shown.forecasts.values():
        for run in (run for wave in each.plan.waves for run in wave.runs):
            for share in run.shares:
                start = Eta(each.busy_s + run.p50_s, each.busy_s + run.p90_s)
                starts.setdefault(share.job_id, start)
                left[share.job_id] -= share.items
                if not left[share.job_id]:
                    ends[share.job_id] = Eta(start.p50 + run.run_s, start.p90 + run.run_s)
    return [words.PlannedJob(job_id, start, ends.get(job_id)) for job_id, start in starts.items()]
