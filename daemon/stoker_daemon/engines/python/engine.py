"""The port `Engine` for a model class in a worker process."""

import asyncio
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from stoker_daemon.engines.fitting import check_items, choose_model, refuse_recipes
from stoker_daemon.engines.leftover import OWNER, end_orphans, forget, remember
from stoker_daemon.engines.python.cache import ModelCache
from stoker_daemon.engines.python.offers import Offers
from stoker_daemon.engines.python.relay import Relay
from stoker_daemon.engines.python.worker import Worker, WorkerDied
from stoker_daemon.jobs.parameters import by_name, check_parameters, with_defaults
from stoker_daemon.jobs.records import EngineFailure, Interrupted, Member, Placement, Resident, Signature
from stoker_daemon.ports import RunObserver
from stoker_daemon.scheduling.residency import NO_PINS, Pins
from stoker_protocol import jobs as words
from stoker_protocol.codec import pack
from stoker_protocol.errors import FailureKind, Refused
from stoker_protocol.requests import Submit
from stoker_protocol.worker import (
    Holding,
    Hosted,
    Interrupt,
    Load,
    Loaded,
    LoadFailed,
    Ready,
    RunBatch,
    Unload,
    Unloaded,
    WorkItem,
)

UNLOAD_S = 30.0
"""A worker that has not given its model back by then is ended, which gives it back for sure."""


class PythonEngine:
    """Runs the models of `classes` in an interpreter of its own, those loaded last staying as far as `cache_mb` allows.

    They are `most_models` at most (0: see `ModelCache`), and those with `pins` give way last.
    `python_path` are folders where the worker also looks for classes; it may hold `memory_limit_mb` of the host's
    memory; `pid_file` lets a later daemon `end_leftover`. A worker ends with its daemon; one that dies is started again
    by the next `load`. Times are in seconds: for the worker to begin, for a model to load, and for the worker to go by
    itself at the end.
    """

    remembers = False

    def __init__(
        self,
        name: str,
        *,
        classes: Sequence[Hosted],
        lane: str,
        pid_file: Path,
        python: str = sys.executable,
        python_path: Sequence[str] = (),
        cache_mb: int = 0,
        most_models: int = 0,
        pins: Pins = NO_PINS,
        memory_limit_mb: int = 0,
        start_timeout_s: float = 60.0,
        load_timeout_s: float = 600.0,
        grace_s: float = 5.0,
    ) -> None:
        self.name = name
        self._lane = lane
        self._pid_file = pid_file
        self._python = python
        self._command = _command(python, classes, memory_limit_mb)
        self._environment = {**_environment(python_path), OWNER: str(pid_file)}
        self._memory_limit_mb = memory_limit_mb
        self._start_timeout_s = start_timeout_s
        self._load_timeout_s = load_timeout_s
        self._grace_s = grace_s
        self._starting = asyncio.Lock()
        self._worker: Worker | None = None
        self._state, self._detail = "starting", ""
        self._offers = Offers()
        self._versions: dict[str, str] = {}
        self._cache = ModelCache(name, cache_mb << 20 if cache_mb else None, most_models, pins)
        self._model = ""

    def facts(self) -> words.Engine:
        state, detail = self._state, self._detail
        if self._worker and state == "ready" and not self._worker.is_sound:
            state, detail = "down", f"{self._worker.epitaph}; the next job starts it again"
        return words.Engine(
            name=self.name,
            kind="python",
            state=state,
            lane=self._lane,
            default_model=choose_model(self._offers.models, ""),
            models=self._offers.models,
            parameters=self._offers.parameters,
            max_batch=self._offers.max_batch,
            detail=detail,
        )

    async def start(self) -> None:
        with suppress(EngineFailure):
            await self._sound_worker()

    async def stop(self) -> None:
        if self._worker and await self._worker.end(self._grace_s):
            await asyncio.to_thread(end_orphans, self._pid_file)
            forget(self._pid_file)
        self._state, self._detail = "down", "stopped"

    def subscribe(self, _listener: Callable[[], None], /) -> None:
        """A worker that ended does not come back by itself."""

    def recipes(self) -> list[words.Recipe]:
        return []

    def place(self, request: Submit) -> Placement:
        refuse_recipes(request, self.name)
        model = choose_model(self._offers.models, request.model)
        return Placement(model, Signature(engine=self.name, residency=model, merge=model))

    async def check(self, request: Submit, placement: Placement, /) -> None:
        if self._offers.are_known:
            await check_items(self._offers.parameters_of(placement.model), request)

    def max_batch(self, _signature: Signature, /) -> int:
        return self._offers.max_batch

    async def load(self, residency: str) -> float:
        worker = await self._sound_worker()
        model = self._known_model(residency)
        seconds = 0.0 if model in self._cache.models else await self._load(worker, model)
        self._model = model
        return seconds

    def residents(self) -> list[Resident]:
        return self._cache.residents(self._worker.pid) if self._worker and self._worker.is_sound else []

    async def unload(self, residency: str) -> None:
        worker = self._worker
        if worker is None or not worker.is_sound:
            return
        await self._drop(worker, [model for model in self._cache.models if residency in ("", model)])

    async def run(self, run_id: str, members: Sequence[Member], observer: RunObserver) -> bool:
        worker = self._worker
        if worker is None or not worker.is_sound:
            raise EngineFailure(FailureKind.LOST, "the worker ended before the run began", died=True)
        items = self._fitting_items(members, observer)
        if not items:
            return True
        self._cache.note_use(self._model)
        worker.tell(RunBatch(run_id=run_id, model=self._model, items=items, previews=observer.wants_previews))
        relay = Relay(run_id, [item.position for item in items], observer, self._versions)
        try:
            return await _follow(worker, relay)
        except WorkerDied as death:
            raise EngineFailure(death.kind, str(death), died=True) from None
        except EngineFailure as failure:
            if failure.kind is FailureKind.OOM:
                await self._drop(worker, self._others(self._model))
            raise
        except asyncio.CancelledError:
            worker.tell(Interrupt(run_id=run_id))
            raise

    async def holds(self, _run: Interrupted, /) -> bool:
        return False

    async def interrupt(self, run_id: str) -> None:
        if self._worker and self._worker.is_sound:
            self._worker.tell(Interrupt(run_id=run_id))

    async def terminate(self, *, force: bool) -> None:
        if self._worker and force:
            await self._worker.end(grace_s=0)
        elif self._worker:
            self._worker.terminate()

    async def _sound_worker(self) -> Worker:
        """The worker, started anew unless there is one that can be used. Raises EngineFailure."""
        async with self._starting:
            if self._worker and self._state == "ready" and self._worker.is_sound:
                return self._worker
            if self._state != "down":  # what was wrong stays known until it is well
                self._state, self._detail = "starting", ""
            self._cache.hold([])
            try:
                worker = await self._start_worker()
            except (OSError, WorkerDied) as error:
                self._state, self._detail = "down", _complaint(error)
                raise EngineFailure(FailureKind.SERVER_ERROR, self._detail, unavailable=True) from None
            self._state, self._detail = "ready", ""
            return worker

    async def _start_worker(self) -> Worker:
        if self._worker:
            if not await self._worker.end(grace_s=0):
                raise WorkerDied(self._worker.epitaph)  # a second one would share the GPU with it
            await asyncio.to_thread(end_orphans, self._pid_file)
        self._worker = worker = await Worker.spawn(self._command, self._environment, self._memory_limit_mb << 20)
        try:
            remember(self._pid_file, worker.pid)
            await self._meet(worker)
        except (OSError, WorkerDied):
            await worker.end(grace_s=0)
            raise
        return worker

    async def _meet(self, worker: Worker) -> None:
        """Learn what a new worker offers."""
        try:
            async with asyncio.timeout(self._start_timeout_s):
                said = await worker.hear()
        except TimeoutError:
            raise WorkerDied(f"the worker did not begin within {self._start_timeout_s:g} s and was ended") from None
        except WorkerDied as death:
            hint = f"what it wrote to the log says why; it needs `{self._python} -m pip install stoker`"
            raise WorkerDied(f"{death}; {hint}") from None
        match said:
            case Ready(family=family, others=others, versions=versions) if family.models:
                self._offers, self._versions = Offers([family, *others]), versions
                self._cache.expect(self._offers.sizes)
            case LoadFailed(message=message):
                raise WorkerDied(f"{message}; the log has the traceback")
            case _:
                raise WorkerDied("the worker offers no model")

    async def _load(self, worker: Worker, model: str) -> float:
        """Load a model in the place of those that give way to it. Raises EngineFailure."""
        await self._drop(worker, self._cache.victims(model))
        said = await self._ask_to_load(worker, model)
        if isinstance(said, LoadFailed) and said.kind is FailureKind.OOM and self._others(model):
            await self._drop(worker, self._others(model))
            said = await self._ask_to_load(worker, model)
        if isinstance(said, LoadFailed):
            raise EngineFailure(said.kind, said.message)
        self._cache.hold(said.holdings or [Holding(model)])
        self._cache.note_load(model, said.seconds)
        await self._drop(worker, self._cache.victims(model))  # it may hold more than was expected
        return said.seconds

    async def _ask_to_load(self, worker: Worker, model: str) -> Loaded | LoadFailed:
        worker.tell(Load(model=model))
        try:
            async with asyncio.timeout(self._load_timeout_s):
                return await _hear_of_load(worker, model)
        except TimeoutError:
            await worker.end(grace_s=0)
            message = f"{model} was not loaded within {self._load_timeout_s:g} s"
            raise EngineFailure(FailureKind.TIMEOUT, message, died=True) from None
        except WorkerDied as death:
            raise EngineFailure(death.kind, str(death), died=True) from None

    async def _drop(self, worker: Worker, models: Sequence[str]) -> None:
        """Have models unloaded; a worker that can't is ended, which gives all back for sure."""
        try:
            async with asyncio.timeout(UNLOAD_S):
                for model in models:
                    worker.tell(Unload(model=model))
                    self._cache.hold((await _hear_of_unload(worker, model)).holdings)
        except (WorkerDied, TimeoutError):
            await worker.end(grace_s=0)
            self._cache.hold([])

    def _others(self, model: str) -> list[str]:
        return [each for each in self._cache.models if each != model]

    def _known_model(self, residency: str) -> str:
        """A job that came before anything was known of the models may mean the default, or one that there is not."""
        try:
            return choose_model(self._offers.models, residency)
        except Refused as refused:
            raise EngineFailure(FailureKind.INVALID, refused.message) from None

    def _fitting_items(self, members: Sequence[Member], observer: RunObserver) -> list[WorkItem]:
        """The items to run; those of a job that nobody could check when it came may fail here."""
        known = by_name(self._offers.parameters_of(self._model))
        items: list[WorkItem] = []
        for member in members:
            try:
                check_parameters(member.params, known, "params")
            except Refused as refused:
                observer.on_item_failed(member.position, FailureKind.INVALID, f"{refused.message}; {refused.hint}")
            else:
                items.append(WorkItem(member.position, pack(with_defaults(member.params, known))))
        return items


def _command(python: str, classes: Sequence[Hosted], memory_limit_mb: int) -> list[str]:
    """`-P`: a file that happens to lie in the working directory must not hide a module."""
    flags = ["-P", "-u", "-X", "faulthandler"]
    hosted = ["--classes", msgspec.json.encode(classes).decode(), "--memory-mb", str(memory_limit_mb)]
    return [python, *flags, "-m", "stoker_worker", *hosted]


def _environment(python_path: Sequence[str]) -> dict[str, str]:
    inherited = os.environ.get("PYTHONPATH")
    path = [*python_path, *([inherited] if inherited else [])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path)} if path else dict(os.environ)


def _complaint(error: OSError | WorkerDied) -> str:
    """What is wrong; the system's own errors begin with a number that helps nobody."""
    if not isinstance(error, OSError) or not error.filename:
        return str(error)
    return f"{error.filename}: {error.strerror}; correct `python` of the engine in the configuration"


async def _hear_of_load(worker: Worker, model: str) -> Loaded | LoadFailed:
    while True:
        said = await worker.hear()
        if isinstance(said, Loaded | LoadFailed) and said.model == model:
            return said


async def _hear_of_unload(worker: Worker, model: str) -> Unloaded:
    while True:
        said = await worker.hear()
        if isinstance(said, Unloaded) and said.model == model:
            return said


async def _follow(worker: Worker, relay: Relay) -> bool:
    """Pass on what the worker says until the run ends."""
    while True:
        ended = relay.pass_on(await worker.hear())
        if ended is None:
            continue
        if ended.how == "failed":
            raise EngineFailure(ended.kind or FailureKind.INTERNAL, ended.message)
        if ended.how == "done":
            relay.fail_unanswered()
        return ended.how == "done"
