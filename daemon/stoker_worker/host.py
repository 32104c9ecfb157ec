"""Hosts one model class: loads its models, runs them, and says what became of it."""

import importlib
import os
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from importlib.metadata import version
from typing import Any, NamedTuple, NoReturn

from stoker_protocol.codec import unpack_map
from stoker_protocol.errors import FailureKind
from stoker_protocol.worker import (
    ItemDone,
    ItemFailed,
    Load,
    Loaded,
    LoadFailed,
    ModelFamily,
    Produced,
    Ready,
    RunBatch,
    RunEnded,
    Unload,
    Unloaded,
)
from stoker_worker.connection import Connection
from stoker_worker.model import BatchItem, Done, Failure, Interrupted, Made, Model
from stoker_worker.reporting import Reporter

_MAX_MESSAGE = 500


class Problem(NamedTuple):
    """Why model code did not do what it was asked to."""

    kind: FailureKind
    message: str


class Host:
    """Does what the daemon says with the models of one class, of which at most one is loaded."""

    def __init__(self, connection: Connection, class_path: str, options: Mapping[str, Any]) -> None:
        self._connection = connection
        self._class_path = class_path
        self._options = options
        self._model: Model | None = None
        self._loaded = ""

    def serve(self) -> NoReturn:
        """Say what the class offers, then do one thing after the other until the daemon is gone.

        Raises:
            SystemExit: There is no such class, or it can't say what it offers.
        """
        problem = _problem_of(self._introduce)
        if problem:
            self._connection.say(LoadFailed(model="", kind=FailureKind.INTERNAL, message=problem.message))
            raise SystemExit(1)
        while True:
            match self._connection.next_order():
                case Load(model=model):
                    self._load(model)
                case Unload():
                    self._unload()
                    self._connection.say(Unloaded())
                case RunBatch() as run:
                    self._run(run)

    def _introduce(self) -> None:
        module, _, name = self._class_path.partition(":")
        self._class: type[Model] = getattr(importlib.import_module(module), name)
        family: ModelFamily = self._class.describe()
        versions = {"stoker": version("stoker"), "python": sys.version.split()[0]}
        self._connection.say(Ready(pid=os.getpid(), family=family, versions=versions))

    def _load(self, model: str) -> None:
        started_s = time.monotonic()
        problem = _problem_of(lambda: self._make_resident(model))
        if problem:
            self._connection.say(LoadFailed(model=model, kind=problem.kind, message=problem.message))
        else:
            self._connection.say(Loaded(model=model, seconds=time.monotonic() - started_s))

    def _make_resident(self, name: str) -> None:
        if self._model is not None and self._loaded == name:
            return
        self._unload()
        model = self._class(name, self._options)
        model.load()
        self._model, self._loaded = model, name

    def _unload(self) -> None:
        model, self._model = self._model, None
        if model is not None:
            model.unload()

    def _run(self, run: RunBatch) -> None:
        try:
            problem = _problem_of(lambda: self._produce(run))
        except Interrupted:
            ended = RunEnded(run_id=run.run_id, how="interrupted")
        else:
            ended = RunEnded(run_id=run.run_id, how="done")
            if problem:
                ended = RunEnded(run_id=run.run_id, how="failed", kind=problem.kind, message=problem.message)
        self._connection.say(ended)

    def _produce(self, run: RunBatch) -> None:
        if self._model is None:
            raise RuntimeError("no model is loaded")
        batch = [BatchItem(item.position, unpack_map(item.params)) for item in run.items]
        positions = {item.position for item in batch}
        for made in self._model.run(batch, Reporter(run, self._connection)):
            if made.position not in positions:
                raise ValueError(f"the batch has no position {made.position}")
            self._connection.say(_message(run.run_id, made))


def _message(run_id: str, made: Made) -> Produced | ItemDone | ItemFailed:
    if isinstance(made, Done):
        return ItemDone(run_id=run_id, position=made.position)
    if isinstance(made, Failure):
        return ItemFailed(run_id=run_id, position=made.position, kind=made.kind, message=_one_line(made.message))
    return Produced(
        run_id=run_id,
        position=made.position,
        data=made.data,
        media_type=made.media_type,
        suffix=made.suffix,
        record=dict(made.record),
        more=made.more,
    )


def _problem_of(step: Callable[[], None]) -> Problem | None:
    """Let model code take a step, and say what went wrong if anything did; the traceback goes to stderr.

    Raises:
        Interrupted: The model let it pass through, as it should.
    """
    try:
        step()
    except Interrupted:
        raise
    except Exception as error:  # noqa: BLE001  a model may raise anything
        traceback.print_exc()
        return Problem(_kind_of(error), _one_line(f"{type(error).__name__}: {error}"))
    return None


def _kind_of(error: Exception) -> FailureKind:
    """GPU libraries have an out-of-memory error of their own that is no MemoryError; all have it in their name."""
    is_oom = isinstance(error, MemoryError) or "OutOfMemory" in type(error).__name__
    return FailureKind.OOM if is_oom else FailureKind.INTERNAL


def _one_line(text: str) -> str:
    """Short, and sure to be valid UTF-8: file names in messages may hold lone surrogates."""
    return " ".join(text.split())[:_MAX_MESSAGE].encode(errors="replace").decode()
