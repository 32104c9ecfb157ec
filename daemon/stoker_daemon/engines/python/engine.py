"""The port `Engine` for a model class in a worker process."""

import asyncio
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from stoker_daemon.engines.fitting import check_items, choose_model, refuse_recipes
from stoker_daemon.engines.leftover import OWNER, end_orphans, forget, remember
from stoker_daemon.engines.python.relay import Relay
from stoker_daemon.engines.python.worker import Worker, WorkerDied
from stoker_daemon.jobs.parameters import by_name, check_parameters, with_defaults
from stoker_daemon.jobs.records import EngineFailure, Interrupted, Member, Placement, Resident, Signature
from stoker_daemon.ports import RunObserver
from stoker_protocol import jobs as words
from stoker_protocol.codec import pack
from stoker_protocol.errors import FailureKind, Refused
from stoker_protocol.requests import Submit
from stoker_protocol.worker import (
    MAX_BATCH,
    Interrupt,
    Load,
    Loaded,
    LoadFailed,
    ModelFamily,
    Ready,
    RunBatch,
    Unload,
    Unloaded,
    WorkItem,
)

UNLOAD_S = 30.0
"""A worker that has not given its model back by then is ended, which gives it back for sure."""
_UNKNOWN = ModelFamily(family="", models=[], parameters=[], max_batch=1)
"""What is known of the models before the first worker said what there is."""


class PythonEngine:
    """Runs the models of the class `model` (`module:Class`), made with `options`, in an interpreter of its own.

    `python_path` are folders where the worker also looks for the class; `pid_file` lets a later daemon `end_leftover`.
    A worker ends with its daemon; one that dies is started again by the next `load`. Times are in seconds: for the
    worker to begin, for a model to load, and for the worker to go by itself at the end.
    """

    remembers = False

    def __init__(
        self,
        name: str,
        *,
        model: str,
        lane: str,
        pid_file: Path,
        options: Mapping[str, Any] | None = None,
        python: str = sys.executable,
        python_path: Sequence[str] = (),
        start_timeout_s: float = 60.0,
        load_timeout_s: float = 600.0,
        grace_s: float = 5.0,
    ) -> None:
        self.name = name
        self._lane = lane
        self._pid_file = pid_file
        self._command = _command(python, model, options or {})
        self._environment = {**_environment(python_path), OWNER: str(pid_file)}
        self._start_timeout_s = start_timeout_s
        self._load_timeout_s = load_timeout_s
        self._grace_s = grace_s
        self._starting = asyncio.Lock()
        self._worker: Worker | None = None
        self._state, self._detail = "starting", ""
        self._family = _UNKNOWN
        self._versions: dict[str, str] = {}
        self._loaded = ""

    def facts(self) -> words.Engine:
        state, detail = self._state, self._detail
        if self._worker and state == "ready" and not self._worker.is_sound:
            state, detail = "down", self._worker.epitaph
        return words.Engine(
            name=self.name,
            kind="python",
            state=state,
            lane=self._lane,
            default_model=choose_model(self._family.models, ""),
            models=self._family.models,
            parameters=self._family.parameters,
            max_batch=min(self._family.max_batch, MAX_BATCH),
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
        model = choose_model(self._family.models, request.model)
        return Placement(model, Signature(engine=self.name, residency=model, merge=model))

    async def check(self, request: Submit, _placement: Placement, /) -> None:
        if self._family is not _UNKNOWN:
            await check_items(self._family.parameters, request)

    async def load(self, residency: str) -> float:
        worker = await self._sound_worker()
        model = self._known_model(residency)
        if model == self._loaded:
            return 0.0
        self._loaded = ""
        said = await self._load(worker, model)
        if isinstance(said, LoadFailed):
            raise EngineFailure(said.kind, said.message)
        self._loaded = model
        return said.seconds

    def residents(self) -> list[Resident]:
        if not self._loaded or self._worker is None or not self._worker.is_sound:
            return []
        return [Resident(self._loaded, pid=self._worker.pid)]

    async def unload(self, residency: str) -> None:
        worker = self._worker
        if worker is None or not worker.is_sound or not self._loaded or residency not in ("", self._loaded):
            return
        self._loaded = ""
        worker.tell(Unload())
        try:
            async with asyncio.timeout(UNLOAD_S):
                await _hear_of_unload(worker)
        except WorkerDied:
            pass  # what it held went with it
        except TimeoutError:
            await worker.end(grace_s=0)

    async def run(self, run_id: str, members: Sequence[Member], observer: RunObserver) -> bool:
        worker = self._worker
        if worker is None or not worker.is_sound:
            raise EngineFailure(FailureKind.LOST, "the worker ended before the run began", died=True)
        items = self._fitting_items(members, observer)
        if not items:
            return True
        worker.tell(RunBatch(run_id=run_id, items=items, previews=observer.wants_previews))
        relay = Relay(run_id, [item.position for item in items], observer, self._versions)
        try:
            return await _follow(worker, relay)
        except WorkerDied as death:
            raise EngineFailure(FailureKind.CRASH, str(death), died=True) from None
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
            self._state, self._detail, self._loaded = "starting", "", ""
            try:
                worker = await self._start_worker()
            except (OSError, WorkerDied) as error:
                self._state, self._detail = "down", str(error)
                raise EngineFailure(FailureKind.SERVER_ERROR, str(error), unavailable=True) from None
            self._state = "ready"
            return worker

    async def _start_worker(self) -> Worker:
        if self._worker:
            if not await self._worker.end(grace_s=0):
                raise WorkerDied(self._worker.epitaph)  # a second one would share the GPU with it
            await asyncio.to_thread(end_orphans, self._pid_file)
        self._worker = worker = await Worker.spawn(self._command, self._environment)
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
        match said:
            case Ready(family=family, versions=versions) if family.models:
                self._family, self._versions = family, versions
            case LoadFailed(message=message):
                raise WorkerDied(message)
            case _:
                raise WorkerDied("the worker offers no model")

    async def _load(self, worker: Worker, model: str) -> Loaded | LoadFailed:
        worker.tell(Load(model=model))
        try:
            async with asyncio.timeout(self._load_timeout_s):
                return await _hear_of_load(worker, model)
        except TimeoutError:
            await worker.end(grace_s=0)
            message = f"{model} was not loaded within {self._load_timeout_s:g} s"
            raise EngineFailure(FailureKind.TIMEOUT, message, died=True) from None
        except WorkerDied as death:
            raise EngineFailure(FailureKind.CRASH, str(death), died=True) from None

    def _known_model(self, residency: str) -> str:
        """A job that came before anything was known of the models may mean the default, or one that there is not."""
        try:
            return choose_model(self._family.models, residency)
        except Refused as refused:
            raise EngineFailure(FailureKind.INVALID, refused.message) from None

    def _fitting_items(self, members: Sequence[Member], observer: RunObserver) -> list[WorkItem]:
        """The items to run; those of a job that nobody could check when it came may fail here."""
        known = by_name(self._family.parameters)
        items: list[WorkItem] = []
        for member in members:
            try:
                check_parameters(member.params, known, "params")
            except Refused as refused:
                observer.on_item_failed(member.position, FailureKind.INVALID, f"{refused.message}; {refused.hint}")
            else:
                items.append(WorkItem(member.position, pack(with_defaults(member.params, known))))
        return items


def _command(python: str, model: str, options: Mapping[str, Any]) -> list[str]:
    """`-P`: a file that happens to lie in the working directory must not hide a module."""
    flags = ["-P", "-u", "-X", "faulthandler"]
    return [python, *flags, "-m", "stoker_worker", "--model", model, "--options", json.dumps(dict(options))]


def _environment(python_path: Sequence[str]) -> dict[str, str]:
    inherited = os.environ.get("PYTHONPATH")
    path = [*python_path, *([inherited] if inherited else [])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path)} if path else dict(os.environ)


async def _hear_of_load(worker: Worker, model: str) -> Loaded | LoadFailed:
    while True:
        said = await worker.hear()
        if isinstance(said, Loaded | LoadFailed) and said.model == model:
            return said


async def _hear_of_unload(worker: Worker) -> None:
    while not isinstance(await worker.hear(), Unloaded):
        pass


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
