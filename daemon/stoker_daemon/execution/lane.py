"""What executes: one lane holds one model at a time and takes run after run from the queue."""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Literal

import structlog
from structlog.contextvars import bind_contextvars

from stoker_daemon.execution.absences import Absences
from stoker_daemon.execution.adrift import Adrift
from stoker_daemon.execution.gate import Gate
from stoker_daemon.execution.holdup import Holdup
from stoker_daemon.execution.lessons import Lessons
from stoker_daemon.execution.naming import ids_of
from stoker_daemon.execution.observer import Observer
from stoker_daemon.execution.room import Left, Room
from stoker_daemon.execution.short_runs import MOMENT_S, ShortRuns
from stoker_daemon.execution.supervisor import SHUTDOWN, Ending, Supervisor
from stoker_daemon.execution.waiting import wait_at_most
from stoker_daemon.execution.work import Work
from stoker_daemon.execution.world import LaneSettings, World
from stoker_daemon.jobs.records import Commit, EngineFailure, Interrupted, Recorded, Result, Run, Stop
from stoker_daemon.ports import ClaimOrder, Engine
from stoker_daemon.scheduling.deciding import Decider
from stoker_daemon.scheduling.eta import Pace
from stoker_protocol import jobs as words
from stoker_protocol.errors import Refused
from stoker_protocol.events import (
    EngineDown,
    LaneChanged,
    LifecycleEvent,
    ModelLoaded,
    ModelUnloaded,
    RunEscalated,
    topic_of_lane,
)
from stoker_protocol.jobs import ItemState
from stoker_protocol.replies import Finding

IDLE_LOOK_S = 30.0
"""An idle lane looks at the queue this often even if nobody woke it: bounds what a jump of the clock can delay."""
TELL_TIMEOUT_S = 5.0
"""A slow disk must not keep a hung run from being ended."""
MAX_PACES = 1_000
"""Jobs whose pace is remembered; those cancelled between two runs would stay for ever."""

log = structlog.get_logger()


class Lane:
    """Runs the queue's work on its engines, one run at a time, as `decider` says; a commit of the store wakes it.

    Lanes may share engines and a decider: so many runs of these are at work at a time. Such a lane, but for the first,
    `may_begin` a run only while its engines take so many, and nobody needs to know of it while it is idle.
    """

    def __init__(
        self,
        name: str,
        engines: Mapping[str, Engine],
        decider: Decider,
        world: World,
        settings: LaneSettings,
        checks: Callable[[], list[Finding]],
        room: Room,
        may_begin: Callable[[], bool] | None = None,
    ) -> None:
        self.name = name
        self.engines = frozenset(engines)
        self.decider = decider
        self._may_begin = may_begin or (lambda: True)
        self._is_further = may_begin is not None
        self._engines = engines
        self._decider = decider
        self._world = world
        self._settings = settings
        self._wake = asyncio.Event()
        self._stopping = asyncio.Event()
        self._holdup = Holdup(name, self._tell_lane)
        self._gate = Gate(name, checks, self._tell_lane)
        self.room = room
        room.told, room.say_left = self._tell_lane, self._say_left
        self._lessons = Lessons(name, decider, room, world.read_ahead, world.clock, self._tell)
        self._must_release = False
        self._since_s = world.clock.monotonic_s()
        self._work: Work | None = None
        self._stops: dict[str, list[Stop]] = {}
        self._paces: dict[str, Pace] = {}
        self._engine_name, self._model = "", ""
        self._loads = 0
        self._reason = ""
        self._short_runs = ShortRuns()
        self._absences = Absences(world.clock, lambda tries: self._settings.retries.delay_s(tries, world.dice()))
        self._adrift = Adrift(engines, world.store, world.artifacts, self._miss)
        for engine in engines.values():
            engine.subscribe(partial(self._meet, engine.name))
        self._state: Literal["idle", "loading", "running", "stopped"] = "idle"

    def adopt(self, settings: LaneSettings) -> None:
        """Go by other settings from the next run on."""
        self._settings = settings

    def committed(self, commit: Commit) -> None:
        """Hear of a commit: there may be work, and runs may have to stop."""
        arrivals = [each for each in commit.arrivals if each.signature.engine in self._engines]
        if arrivals:
            self._decider.arrive(arrivals, self._world.clock.now_ms(), idle=self._state == "idle")
        for stop in commit.stops:
            if stop.lane == self.name:
                self._stop_run(stop)
        if commit.has_work:
            self._wake.set()

    def status(self) -> words.Lane:
        """What it holds and does."""
        work = self._work
        engine, model = self._engine_name, self._model
        if work is not None and self._state == "loading":
            engine, model = work.key
        residents = self._engines[engine].residents() if engine else []
        return words.Lane(
            name=self.name,
            state=self._state,
            engine=engine,
            model=model,
            is_loaded=any(each.residency == model for each in residents),
            run_id=work.run.run_id if work else "",
            loads=self._loads,
            last_progress_s=round(self._world.clock.monotonic_s() - work.observer.last_progress_s, 3) if work else None,
            held_up=self._holdup.reason or self._gate.reason or self.room.reason,
            reason=self._reason,
        )

    def busy_s(self) -> float:
        """Seconds until the run at work should be over."""
        work = self._work
        if work is None:
            return 0.0
        return max(0.0, self._decider.expected_s(work.run.run_id) - work.observer.age_s())

    def away_s(self, engine: str) -> float | None:
        """Seconds until an engine that can't be reached is tried again; None: it is not away."""
        return None if engine in self._absences.spare([engine]) else self._absences.left_s(IDLE_LOOK_S, [engine])

    @property
    def is_worth_telling(self) -> bool:
        """Whether people should hear of it."""
        return not self._is_further or self._state != "idle" or bool(self._holdup.reason or self._gate.reason)

    def findings(self) -> list[Finding]:
        """Whether the lane is able to work."""
        trouble = "the lane has stopped" if self._state == "stopped" else ""
        if self._holdup.reason:
            trouble = f"waits for the disk and goes on by itself once that takes what is stored: {self._holdup.reason}"
        elif self._gate.reason:
            trouble = f"begins no run, and goes on by itself once this is well: {self._gate.reason}"
        elif self.room.reason:
            trouble = f"waits for room on the GPU, and goes on by itself once there is some: {self.room.reason}"
        smoke = [] if self._is_further else self._world.smoke.findings(self.engines)
        return [Finding(f"lane {self.name}", ok=not trouble, detail=trouble), *smoke]

    def unfit(self, engine: str) -> str:
        """Why an engine does not get work although it is there, or ""."""
        return self._world.smoke.reasons.get(engine, "")

    def release_gpu(self) -> bool:
        """Have models leave the GPU as soon as nothing runs; False: this lane has no business there."""
        self._must_release = bool(self.room.engines)
        self._wake.set()
        return self._must_release

    def take_back(self, run: Interrupted) -> bool:
        """Go on with a run that an earlier daemon began here, if its engine may have it still; False: it can't."""
        engine = self._engines.get(run.engine)
        if run.lane != self.name or engine is None or not engine.remembers:
            return False
        self._adrift.add(run)
        return True

    async def serve(self) -> None:
        """Take runs until `stop`."""
        runs: Sequence[Run] = ()
        try:
            while not self._stopping.is_set() or runs:
                runs = await self._work_off(runs) if runs else await self._next_runs()
        finally:
            self._enter("stopped")

    async def stop(self, serving: "asyncio.Task[None]", grace_s: float) -> None:
        """Let the run at work end within its grace, then hand it back to the queue."""
        self._stopping.set()
        self._wake.set()
        await asyncio.wait({serving}, timeout=0 if self._holdup.reason or self.room.reason else grace_s)
        if self._work is not None:
            self._stop_run(Stop(self._work.run.run_id, self.name, SHUTDOWN))
        await serving

    async def _next_runs(self) -> Sequence[Run]:
        """Claim a run, or wait until there may be one."""
        self._wake.clear()
        if not self._may_begin():
            await wait_at_most(self._wake, IDLE_LOOK_S)
            return ()
        try:
            order = self._order()
            run = await self._holdup.outlast(lambda: self._adrift.next_run(order, self._is_unwanted), self._stopping)
            if run is None and await self._gate.passed(self._stopping):
                order = self._order()
                run = await self._holdup.outlast(lambda: self._world.store.claim(order), self._stopping)
            if run is None and not self._stopping.is_set():
                await self._release_if_asked()
                await self._wait_for_work(order)
        except Refused as refused:
            log.warning("no claim possible", lane=self.name, why=refused.message)
            return ()
        return (run,) if run else ()

    async def _wait_for_work(self, order: ClaimOrder) -> None:
        """Until there may be more to claim than there was with this order."""
        due_ms = await self._holdup.outlast(self._world.store.next_due_ms, self._stopping)
        wait_s = self._absences.left_s(IDLE_LOOK_S, order.engines)
        if due_ms is not None:
            wait_s = min(wait_s, max(0.0, (due_ms - self._world.clock.now_ms()) / 1000))
        idle_s = self._world.clock.monotonic_s() - self._since_s
        rest_s = self.room.rest_left_s(idle_s)
        await wait_at_most(self._wake, min(wait_s, rest_s))
        if rest_s <= wait_s and not self._wake.is_set():
            await self.room.release("idle", pinned=False)

    async def _release_if_asked(self) -> None:
        if self._must_release:
            self._must_release = False
            await self.room.release("pause")

    async def _work_off(self, runs: Sequence[Run]) -> Sequence[Run]:
        """Perform what was claimed together, commit what became of it, and return what was claimed with that.

        Nothing waits for the others longer than a moment, and what has not begun by then, or comes after a run that
        did not end well, goes back: nobody is to notice that it was claimed before its turn.
        """
        ended: list[Work] = []
        waiting = deque(runs)
        since_s = self._world.clock.monotonic_s()
        performing = asyncio.ensure_future(self._perform_all(waiting, ended))
        if len(runs) > 1:
            await asyncio.wait({performing}, timeout=MOMENT_S)
            if not performing.done():
                settled, unbegun = list(ended), list(waiting)
                ended.clear()
                waiting.clear()
                await self._settle(settled, unbegun, claim=False)
        await performing
        self._short_runs.worked_off(len(ended), self._world.clock.monotonic_s() - since_s)
        return await self._settle(ended, waiting, claim=not self._stopping.is_set())

    async def _perform_all(self, waiting: deque[Run], ended: list[Work]) -> None:
        """Perform run after run, up to one that does not end well."""
        while waiting and not self._stopping.is_set():
            ended.append(await self._perform(waiting.popleft()))
            if ended[-1].ending != Ending():
                return

    # One run, step by step

    async def _perform(self, run: Run) -> Work:
        bind_contextvars(lane=self.name, **ids_of(run))  # every line that is logged meanwhile says what it is about
        work = self._begin(run)
        await self._prepare(work)
        work.ending = await work.supervisor.watch(self._load_and_run(work))
        work.seconds = work.observer.seconds()
        work.artifacts = await work.observer.saved()
        await self._tidy(work)
        await self._tell_death(work)
        work.judge(self._settings.retries, self._world.dice)
        self._loads += await self._lessons.learn(work, self._reason)
        return work

    def _begin(self, run: Run) -> Work:
        world, engine = self._world, self._engines[run.signature.engine]

        def is_watched() -> bool:
            return any(world.wants_previews(job.job_id) for job in run.jobs)

        observer = Observer(run, world.artifacts, world.announce, world.clock, self._paces, self._holdup, is_watched)

        async def tell_rung(rung: str, reason: str) -> None:
            log.warning("a run does not stop by itself", rung=rung, why=reason)
            event = RunEscalated(lane=self.name, engine=engine.name, run_id=run.run_id, rung=rung, reason=reason)
            await self._tell(event)

        supervisor = Supervisor(run, engine, observer, world.clock, self._settings.patience, tell_rung)
        self._work = Work(run, engine, observer, supervisor)
        for stop in list(self._stops.get(run.run_id, ())):
            self._stop_run(stop)
        return self._work

    async def _prepare(self, work: Work) -> None:
        """Have a model that is not the last one make room for itself."""
        key = work.key
        if (self._engine_name, self._model) != key:
            self._enter("loading")
            work.observer.tell_progress("loading", 0, 1)
        await self.room.prepare(key, work.observer.given_up)

    async def _load_and_run(self, work: Work) -> bool:
        """True: the run came to its end; False: it was to stop."""
        if work.supervisor.is_stopped:
            return False
        model = work.run.signature.residency
        self._engine_name, self._model = "", ""
        seconds = await work.engine.load(model)
        self._engine_name, self._model = work.engine.name, model
        self._reason = why = self._decider.loaded(work.run, seconds, self._world.clock.now_ms())
        if seconds:
            self._loads += 1
            engine = work.engine.name
            await self._tell(ModelLoaded(lane=self.name, engine=engine, model=model, seconds=seconds, reason=why))
        if work.supervisor.is_stopped:
            return False
        await self._world.smoke.prove(work.engine, work.run.jobs[0].model, model)
        self._absences.end(work.engine.name)
        self._enter("running")
        work.observer.on_running(is_short=self._short_runs.are_sure)
        return await work.engine.run(work.run.run_id, work.run.members, work.observer)

    async def _tidy(self, work: Work) -> None:
        """Remove the files of members that are not complete, or that nobody wants: no row will know them."""
        for position in work.discarded:
            work.artifacts.pop(position, None)
        torn = [
            m for m in work.run.members if work.observer.has_output(m.position) and m.position not in work.artifacts
        ]
        if not torn:
            return
        try:
            await self._world.artifacts.forget_unknown(torn, frozenset())
        except OSError as error:
            log.warning("files of unfinished items could not be removed", why=str(error))

    async def _tell_death(self, work: Work) -> None:
        failure = work.ending.failure
        if failure is not None and (failure.died or failure.unavailable):
            self._engine_name, self._model = "", ""
            self._decider.lost(work.engine.name)
            self.room.forget()
            self._world.smoke.doubt(work.engine.name)
            if failure.unavailable:
                self._miss(work.engine.name, failure)
            if failure.died:
                log.error("an engine is down", why=failure.message)
            await self._tell(EngineDown(lane=self.name, engine=work.engine.name, detail=failure.message))

    async def _say_left(self, left: Sequence[Left], reason: str) -> None:
        """Models were unloaded."""
        for engine, model in left:
            if engine == self._engine_name:
                self._engine_name, self._model = "", ""
            self._decider.lost(engine)
            await self._tell(ModelUnloaded(lane=self.name, engine=engine, model=model, reason=reason))

    def _meet(self, engine: str) -> None:
        """An engine that was away is there again."""
        self._absences.end(engine)
        self._wake.set()

    def _miss(self, engine: str, failure: EngineFailure) -> None:
        """An engine is away; it is tried again after a while."""
        self._absences.begin(engine)
        log.warning("an engine can't be reached", lane=self.name, engine=engine, why=failure.message)

    async def _settle(self, ended: Sequence[Work], waiting: Sequence[Run], *, claim: bool) -> Sequence[Run]:
        """Commit what became of runs, those still waiting going back to the queue; the next ones."""
        outcomes = [(work.run, work.results) for work in ended if not work.is_adrift]
        outcomes += [
            (run, [Result(m.position, ItemState.PENDING, charged=False) for m in run.members]) for run in waiting
        ]
        for work in ended:
            if work.is_adrift:
                self._adrift.let_go(work.run, work.results)
        recorded = await self._record(outcomes, claim=claim) if outcomes else None
        for work in ended:
            work.observer.is_recorded = recorded is not None and not work.is_adrift
        recorded = recorded or Recorded()
        for run in waiting:
            self._stops.pop(run.run_id, None)
        for work in ended:
            self._conclude(work, recorded)
        if self._work is None and not recorded.next_runs:
            self._enter("idle")
        return recorded.next_runs

    async def _record(self, outcomes: Sequence[tuple[Run, Sequence[Result]]], *, claim: bool) -> Recorded | None:
        """Commit outcomes, however long the store needs. None: a stopping daemon leaves them to the next one."""

        async def record() -> Recorded:
            goes_on = claim and self._may_begin() and self._gate.is_open() and not self._stopping.is_set()
            order = self._order() if goes_on else None
            return await self._world.store.record(outcomes, order)

        try:
            return await self._holdup.outlast(record, self._stopping)
        except Refused as refused:
            for run, _ in outcomes:
                log.error("a run could not be recorded", lane=self.name, **ids_of(run), why=refused.message)
            return None

    def _conclude(self, work: Work, recorded: Recorded) -> None:
        if not self._adrift.holds(work.run.run_id):
            self._stops.pop(work.run.run_id, None)
        for job in work.run.jobs:
            mine = sum(member.job_id == job.job_id for member in work.run.members)
            self._paces.setdefault(job.job_id, Pace()).note(work.seconds, mine)
        for job_id in recorded.finished_jobs:
            self._paces.pop(job_id, None)
        while len(self._paces) > MAX_PACES:
            del self._paces[next(iter(self._paces))]
        self._short_runs.ended(work.seconds, well=work.ending == Ending())
        if self._work is work:
            self._work = None

    def _order(self) -> ClaimOrder:
        self._decider.see(self.room.free_gb())
        return ClaimOrder(
            lane=self.name,
            engines=self._absences.spare(self._engines),
            choose=self._decider.choose,
            timeout_s=self._settings.timeout_s,
            no_progress_s=self._settings.no_progress_s,
            max_delay_s=self._settings.retries.max_s,
            at_once=self._short_runs.at_once,
            choose_alike=self._decider.choose_alike,
        )

    def _stop_run(self, stop: Stop) -> None:
        """Stop a run, even one whose claim is committed but not yet here; of a cancelled job among others, its part."""
        stops = self._stops.setdefault(stop.run_id, [])
        if stop not in stops:
            stops.append(stop)
        if self._adrift.holds(stop.run_id):
            self._wake.set()
        if self._work is not None and self._work.run.run_id == stop.run_id:
            self._work.stop(stop)

    def _is_unwanted(self, run: Run) -> bool:
        """Whether a run is to stop as a whole."""
        stopped = {stop.job_id for stop in self._stops.get(run.run_id, ())}
        cancelled = {job.job_id for job in run.jobs if job.state is words.JobState.CANCELLING}
        return None in stopped or {member.job_id for member in run.members} <= stopped | cancelled

    async def _tell(self, event: LifecycleEvent) -> None:
        try:
            async with asyncio.timeout(TELL_TIMEOUT_S):
                await self._world.store.tell(topic_of_lane(self.name), event)
        except (Refused, TimeoutError) as error:
            log.error("an event was not stored", lane=self.name, event_type=type(event).__name__, why=str(error))

    def _enter(self, state: Literal["idle", "loading", "running", "stopped"]) -> None:
        if state != self._state:
            self._state = state
            self._since_s = self._world.clock.monotonic_s()
            self._tell_lane()

    def _tell_lane(self) -> None:
        event = LaneChanged(at_ms=self._world.clock.now_ms(), lane=self.status())
        self._world.announce(topic_of_lane(self.name) + "lane_changed", event)
