"""Hosts model classes: loads their models, runs them, and says what became of it."""

import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from typing import NamedTuple, NoReturn

from stoker_protocol.codec import did_you_mean, unpack_map
from stoker_protocol.errors import FailureKind
from stoker_protocol.worker import (
    AnySay,
    Holding,
    Hosted,
    ItemDone,
    ItemFailed,
    Load,
    Loaded,
    LoadFailed,
    Produced,
    Ready,
    RunBatch,
    RunEnded,
    Unload,
    Unloaded,
)
from stoker_worker import memory
from stoker_worker.classes import Offer, offer
from stoker_worker.connection import Connection
from stoker_worker.model import BatchItem, Done, Failure, Interrupted, Made, Model, Output
from stoker_worker.reporting import Reporter

_MAX_MESSAGE = 500


class Problem(NamedTuple):
    """Why model code did not do what it was asked to."""

    kind: FailureKind
    message: str


class Resident(NamedTuple):
    """A loaded model, the memory that it took, and how many items it takes at once."""

    model: Model
    holding: Holding
    max_batch: int


class Host:
    """Does what the daemon says with the models of some classes; which are loaded is the daemon's to say."""

    def __init__(self, connection: Connection, classes: Sequence[Hosted]) -> None:
        self._connection = connection
        self._classes = classes
        self._offers: dict[str, Offer] = {}
        self._residents: dict[str, Resident] = {}
        self._last = ""

    def serve(self) -> NoReturn:
        """Say what the classes offer, then do one thing after the other until the daemon is gone.

        Raises:
            SystemExit: There is no such class, or it can't say what it offers.
        """
        for hosted in self._classes:
            if problem := _problem_of(lambda hosted=hosted: self._take_up(offer(hosted))):
                whose = f"{hosted.name} ({hosted.model})" if hosted.name else hosted.model
                message = f"{whose}: {problem.message}"
                self._connection.say(LoadFailed(model=hosted.name, kind=FailureKind.INTERNAL, message=message))
                raise SystemExit(1)
        self._introduce()
        while True:
            match self._connection.next_order():
                case Load(model=model):
                    self._load(model)
                case Unload(model=model):
                    self._unload(model)
                case RunBatch() as run:
                    self._run(run)

    def _take_up(self, offered: Offer) -> None:
        self._offers.update((model.name, offered) for model in offered.family.models)

    def _introduce(self) -> None:
        families = list({id(offered): offered.family for offered in self._offers.values()}.values())
        self._connection.say(Ready(pid=os.getpid(), family=families[0], others=families[1:], versions=_versions()))

    def _load(self, model: str) -> None:
        started_s = time.monotonic()
        problem = _problem_of(lambda: self._make_resident(model))
        if problem:
            memory.release()
            self._connection.say(LoadFailed(model=model, kind=problem.kind, message=problem.message))
        else:
            seconds = time.monotonic() - started_s
            self._connection.say(Loaded(model=model, seconds=seconds, holdings=self._holdings()))

    def _make_resident(self, name: str) -> None:
        if name not in self._residents:
            offered = self._offer_of(name)
            model = offered.model_class(name, offered.options)
            before = memory.held()
            model.load()
            holding = memory.held().holding(name, before)
            self._residents[name] = Resident(model, holding, offered.family.max_batch)
        self._last = name

    def _offer_of(self, name: str) -> Offer:
        if name not in self._offers:
            hint = did_you_mean(name, list(self._offers)) or f"there are {', '.join(self._offers)}"
            raise ValueError(f"there is no model {name!r}; {hint}")
        return self._offers[name]

    def _unload(self, name: str) -> None:
        for each in [name] if name else list(self._residents):
            self._forget(each)
        memory.release()
        self._connection.say(Unloaded(model=name, holdings=self._holdings()))

    def _forget(self, name: str) -> None:
        if resident := self._residents.pop(name, None):
            _problem_of(resident.model.unload)

    def _holdings(self) -> list[Holding]:
        return [resident.holding for resident in self._residents.values()]

    def _run(self, run: RunBatch) -> None:
        last: list[AnySay] = []
        try:
            problem = _problem_of(lambda: self._produce(run, last))
        except Interrupted:
            ended = RunEnded(run_id=run.run_id, how="interrupted")
        else:
            ended = RunEnded(run_id=run.run_id, how="done")
            if problem:
                ended = RunEnded(run_id=run.run_id, how="failed", kind=problem.kind, message=problem.message)
        if ended.kind is FailureKind.OOM:
            memory.release()
        self._connection.say(*last, ended)

    def _produce(self, run: RunBatch, last: list[AnySay]) -> None:
        """Say what is made as soon as it is there, but leave what answers the last item, to be said with the end."""
        resident = self._residents.get(run.model or self._last)
        if resident is None:
            raise RuntimeError("no model is loaded")
        parts = list(_parts(run, resident.max_batch))
        unanswered = {item.position for item in run.items}
        for number, part in enumerate(parts):
            report = Reporter(run, self._connection, part=number, parts=len(parts))
            report.look_up()
            positions = {item.position for item in part}
            for made in resident.model.run(part, report):
                if made.position not in positions:
                    raise ValueError(f"the batch has no position {made.position}")
                if not isinstance(made, Output) or not made.more:
                    unanswered.discard(made.position)
                if unanswered:
                    self._connection.say(_message(run.run_id, made))
                else:
                    last.append(_message(run.run_id, made))


def _parts(run: RunBatch, max_batch: int) -> Iterator[list[BatchItem]]:
    """The items of a run as far as the model takes them at once: another of the engine may take more."""
    size = max(1, max_batch)
    for start in range(0, len(run.items), size):
        yield [BatchItem(item.position, unpack_map(item.params)) for item in run.items[start : start + size]]


def _versions() -> dict[str, str]:
    """Stoker's too, unless it was not installed but only put on the path."""
    versions = {"python": sys.version.split()[0]}
    with suppress(PackageNotFoundError):
        versions["stoker"] = version("stoker")
    return versions


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
        is_oom = memory.is_out_of_memory(error)
        if is_oom:
            traceback.clear_frames(error.__traceback__)  # what filled the memory, so that there is some to go on with
        traceback.print_exc()
        kind = FailureKind.OOM if is_oom else FailureKind.INTERNAL
        return Problem(kind, _one_line(f"{type(error).__name__}: {error}"))
    return None


def _one_line(text: str) -> str:
    """Short, and sure to be valid UTF-8: file names in messages may hold lone surrogates."""
    return " ".join(text.split())[:_MAX_MESSAGE].encode(errors="replace").decode()
