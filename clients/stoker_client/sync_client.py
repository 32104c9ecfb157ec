"""The blocking client: performs the effects of the operations on two sockets."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, Unpack

import zmq

from stoker_client.keys import KeyLike, Target, target
from stoker_client.operations import uploading, verbs, watching
from stoker_client.operations.calling import Caller
from stoker_client.operations.effects import (
    AppendFile,
    BeginFile,
    Diagnose,
    Effect,
    Emit,
    Exchange,
    FinishFile,
    MeasureFile,
    NextEvent,
    Now,
    OpenEvents,
    Operation,
    ReadFile,
    Reconnect,
    Sleep,
)
from stoker_client.operations.uploading import Told
from stoker_client.operations.verbs import ItemLike, Scope, SubmitOptions
from stoker_client.operations.watching import Update
from stoker_client.shell import (
    Files,
    Folder,
    Source,
    event_in,
    new_job_id,
    new_session,
    open_control,
    open_events,
)
from stoker_protocol import replies as re
from stoker_protocol.codec import request_id_of
from stoker_protocol.events import AnyEvent
from stoker_protocol.jobs import Artifact, Engine, Item, Job, Profile, Recipe
from stoker_protocol.plans import Grouping

if TYPE_CHECKING:
    from pathlib import Path

T = TypeVar("T")

_SILENCE_S = 1.0


class Client:
    """Reaches one daemon. Not thread-safe: give each thread its own.

    Without an endpoint the environment's STOKER_ENDPOINT is used, or `tcp://127.0.0.1:5577`. A daemon elsewhere
    asks for a `key`, a file or a ClientKey, which names its endpoint too; without one the environment's STOKER_KEY is
    used, or what `stoker connect` kept. `timeout_s` bounds the wait for an answer. All methods raise `StokerError`s;
    which ones, the daemon decides (`stoker_client.errors`).
    `on_silence` is called once if the first answer takes longer than a second.
    """

    def __init__(
        self,
        endpoint: str | None = None,
        *,
        key: KeyLike | None = None,
        timeout_s: float = 5.0,
        on_silence: Callable[[], None] | None = None,
    ) -> None:
        self._target = target(endpoint, key)
        self.endpoint, self.key = self._target.endpoint, self._target.key
        self._caller = Caller(new_session(), self.endpoint, timeout_s)
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._control = _Control(self._context, self._target, on_silence)

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the sockets."""
        self._control.drop()
        self._context.destroy(linger=0)

    def hello(self) -> re.Welcome:
        """Who answers, and who the caller is there."""
        return self._run(verbs.hello(self._caller))

    def ping(self) -> float:
        """Seconds to the daemon and back."""
        return self._run(verbs.ping(self._caller))

    def health(self) -> re.HealthReport:
        """Whether a job can make progress, and what is in its way."""
        return self._run(verbs.health(self._caller))

    def check(self) -> list[re.Finding]:
        """Whether what the daemon keeps on its disk is sound, and what to do if not."""
        return self._run(verbs.check(self._caller))

    def submit(
        self, items: Sequence[ItemLike], *, job_id: str | None = None, **options: Unpack[SubmitOptions]
    ) -> re.Submitted:
        """Submit a job; on return it is on the daemon's disk.

        An item is a prompt, or a map with `params` and perhaps a `custom_id`. `job_id` makes repeating harmless: the
        same submit under it is the same job.
        """
        return self._run(verbs.submit(self._caller, job_id or new_job_id(), items, options))

    def append(self, job_id: str, at: int, items: Sequence[ItemLike]) -> re.Appended:
        """Add items to a job that was submitted with `more`; `at` is the index of the first, the job's total so far."""
        return self._run(verbs.append(self._caller, job_id, at, items))

    def seal(self, job_id: str) -> re.Sealed:
        """Say that no more items come: only then can an open job end."""
        return self._run(verbs.seal(self._caller, job_id))

    def find(self, said: str) -> Job:
        """The job that a person means by an id, the beginning of one, or a name; which one must be clear."""
        return self._run(verbs.find(self._caller, said))

    def job(self, job_id: str) -> Job:
        """One job as it is now."""
        return self._run(verbs.job(self._caller, job_id))

    def jobs(self, states: Sequence[str] = ()) -> Iterator[Job]:
        """All jobs, newest first, or those in some states."""
        return self._stream(verbs.jobs(self._caller, states))

    def items(self, job_id: str, states: Sequence[str] = (), *, with_params: bool = False) -> Iterator[Item]:
        """The items of a job in order."""
        return self._stream(verbs.items(self._caller, job_id, states, with_params=with_params))

    def cancel(self, *job_ids: str) -> re.Cancelled:
        """Cancel jobs; harmless to repeat."""
        return self._run(verbs.cancel(self._caller, job_ids, None))

    def cancel_all(self, scope: Scope = "all") -> re.Cancelled:
        """Cancel all jobs that are not final (`all`) or that have not begun (`queued`)."""
        return self._run(verbs.cancel(self._caller, None, scope))

    def retry(self, job_id: str, states: Sequence[str] = ("failed",)) -> re.Retried:
        """Send the items of a job that ended in these states back to the queue."""
        return self._run(verbs.retry(self._caller, job_id, states))

    def move(self, job_id: str, priority: str | None = None, *, front: bool = False) -> re.Moved:
        """Give a job another priority, or with `front` the first place in its priority."""
        return self._run(verbs.move(self._caller, job_id, priority, front=front))

    def pause(
        self, job_id: str | None = None, *, reason: str = "", interrupt: bool = False, release_gpu: bool = False
    ) -> re.Paused:
        """Hold back a job, or all work; with `interrupt` also what runs now, with `release_gpu` models go, too."""
        return self._run(verbs.pause(self._caller, job_id, reason, interrupt=interrupt, release_gpu=release_gpu))

    def resume(self, job_id: str | None = None) -> re.Resumed:
        """Let a job, or all work, go on."""
        return self._run(verbs.resume(self._caller, job_id))

    def snapshot(self, job_ids: Sequence[str] | None = None, *, include_final: bool = False) -> re.SnapshotPage:
        """Queue, lanes and jobs: those named, or all that are not final, or all."""
        return self._run(verbs.snapshot(self._caller, job_ids, include_final=include_final))

    def artifacts(self, job_id: str) -> Iterator[Artifact]:
        """The files that a job made, in item order."""
        return self._stream(verbs.artifacts(self._caller, job_id))

    def fetch(self, job_id: str, directory: str | os.PathLike[str]) -> "Iterator[Path]":
        """Bring the files that a job made into a directory, checked; those that are there already are left."""
        return self._stream(verbs.fetch(self._caller, job_id), Folder(directory))

    def outputs(self, job_id: str | None = None) -> Iterator[re.JobOutputs]:
        """What each job has on disk, newest job first, or the one named."""
        return self._stream(verbs.outputs(self._caller, job_id))

    def output_totals(self) -> re.OutputsPage:
        """What all files amount to, in its `totals`, and the disk that they are on."""
        return self._run(verbs.output_totals(self._caller))

    def clean_outputs(self, older_than_s: float, *, dry_run: bool = False) -> re.OutputsCleaned:
        """Remove the files of jobs that ended so long ago; with `dry_run` only say what that would be."""
        return self._run(verbs.clean_outputs(self._caller, older_than_s, dry_run=dry_run))

    def engines(self) -> list[Engine]:
        """The engines with their models and parameters."""
        return self._run(verbs.engines(self._caller))

    def models(self, kind: str = "", engine: str = "") -> list[re.EngineModels]:
        """The models of each engine, or of one; by kind: `checkpoint` (what a job may name as its model), `lora` ..."""
        return self._run(verbs.models(self._caller, kind, engine))

    def recipes(self) -> list[Recipe]:
        """The recipes with their parameters."""
        return self._run(verbs.recipes(self._caller))

    def recipe(self, name: str, engine: str = "") -> Recipe:
        """One recipe with its workflow, of the first engine that has it or of the one named."""
        return self._run(verbs.recipe(self._caller, name, engine))

    def profiles(self) -> list[Profile]:
        """The profiles: named sets of defaults."""
        return self._run(verbs.profiles(self._caller))

    def upload(self, source: str | os.PathLike[str] | bytes, *, told: Told | None = None) -> str:
        """Bring an input file, or bytes, to the daemon: the `blob:SHA256` by which parameters mean it.

        What is there is not sent again, so after a break a repetition goes on from there. `told` hears how many bytes
        of how many are there.
        """
        return self._run(uploading.upload(self._caller, told), Source(source))

    def recent_events(self, number: int = 10) -> list[AnyEvent]:
        """The newest committed events, oldest first; `watch` follows them."""
        return self._run(verbs.recent_events(self._caller, number))

    def stats(self, job_id: str | None = None, *, window_s: float | None = None) -> re.Stats:
        """What was done in the last seconds, by default 3600, or of one job in its life: how fast, after what wait."""
        return self._run(verbs.stats(self._caller, job_id, window_s))

    def gpu(self) -> re.GpuReport:
        """How the GPUs and their host are now and were in the last minutes, and who holds what on the executor's."""
        return self._run(verbs.gpu(self._caller))

    def plan(self, grouping: Grouping | None = None) -> re.Plan:
        """The runs to come, in waves: consecutive runs on one model, with what they gain and why they come.

        `grouping`: what shares a run, by default as the daemon has it; `strict`: what differs in nothing but the seed.
        """
        return self._run(verbs.plan(self._caller, grouping))

    def why(self, job_id: str) -> re.Why:
        """Why a job does not run yet, and when it does at the latest."""
        return self._run(verbs.why(self._caller, job_id))

    def execute_plan(self, token: str) -> re.PlanBegun:
        """Carry out a plan exactly as it was shown. Raises StalePlan: what it was made of has changed."""
        return self._run(verbs.execute_plan(self._caller, token))

    def describe(self) -> re.Description:
        """JSON Schema of all that can be said."""
        return self._run(verbs.describe(self._caller))

    def reload(self) -> re.Reloaded:
        """Have the configuration read again. Raises BadRequest: it makes no sense, and the old one stays in force."""
        return self._run(verbs.reload(self._caller))

    def shutdown(self, reason: str = "") -> re.ShuttingDown:
        """Stop the daemon gracefully."""
        return self._run(verbs.shutdown(self._caller, reason))

    def watch(
        self,
        job_ids: Sequence[str] | None = None,
        *,
        previews: bool = False,
        progress: bool = True,
        pauses: bool = False,
    ) -> Iterator[Update]:
        """Follow jobs until they are final, or everything for ever; each lifecycle event comes exactly once.

        First come the jobs as they are. Restarts of the daemon and lost events are made up for. With
        `pauses`, who follows named jobs also hears when all work is held back or let go on.
        """
        watch = watching.Watch(self._caller, job_ids, previews=previews, progress=progress, pauses=pauses)
        return self._stream(watch.run())

    def wait(self, job_id: str, timeout_s: float | None = None) -> Job:
        """The job when it is final. Raises TimeoutError."""
        return self._run(watching.wait(self._caller, job_id, timeout_s))

    def _run(self, operation: Operation[T], files: Files | None = None) -> T:
        """Perform an operation that emits nothing."""
        with _Performer(self._context, self._control, files) as performer:
            answer: Any = None
            while True:
                try:
                    effect = operation.send(answer)
                except StopIteration as end:
                    return end.value
                answer = performer.perform(effect)

    def _stream(self, operation: Operation[None], files: Files | None = None) -> Iterator[Any]:
        """Perform an operation and yield what it emits."""
        with _Performer(self._context, self._control, files) as performer:
            answer: Any = None
            while True:
                try:
                    effect = operation.send(answer)
                except StopIteration:
                    return
                answer = performer.perform(effect)
                if isinstance(effect, Emit):
                    yield effect.value


class _Control:
    """The control socket, made when it is first needed and anew after each `drop`."""

    def __init__(
        self, context: zmq.Context[zmq.Socket[bytes]], target: Target, on_silence: Callable[[], None] | None
    ) -> None:
        self._context = context
        self.target = target
        self._on_silence = on_silence
        self._silence_at_s = float("inf")
        self._socket: zmq.Socket[bytes] | None = None

    def exchange(self, exchange: Exchange) -> bytes | None:
        """Send a request and wait for its reply; replies to others are doubles and dropped."""
        if self._socket is None:
            self._socket = open_control(self._context, self.target.endpoint, self.target.key)
        self._socket.send_multipart([b"", exchange.message])
        now_s = time.monotonic()
        self._silence_at_s = min(self._silence_at_s, now_s + _SILENCE_S)
        until_s = now_s + exchange.timeout_s
        while self._has_arrived(self._socket, until_s):
            body = self._socket.recv_multipart()[-1]
            self._on_silence = None
            if request_id_of(body) == exchange.request_id:
                return body
        return None

    def drop(self) -> None:
        """Forget the connection."""
        if self._socket is not None:
            self._socket.close()
        self._socket = None

    def _has_arrived(self, socket: zmq.Socket[bytes], until_s: float) -> bool:
        """Wait until something comes or the time is over; on the way there the silence may have to be told."""
        if self._on_silence is not None and self._silence_at_s <= until_s:
            if _poll(socket, self._silence_at_s):
                return True
            self._on_silence()
            self._on_silence = None
        return _poll(socket, until_s)


class _Performer:
    """Performs the effects of one operation; an events socket and a folder are its own."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], control: _Control, files: Files | None = None) -> None:
        self._context = context
        self._control = control
        self._files = files
        self._events: zmq.Socket[bytes] | None = None

    def __enter__(self) -> "_Performer":
        return self

    def __exit__(self, *_: object) -> None:
        self._close_events()
        if self._files is not None:
            self._files.close()

    def perform(self, effect: Effect) -> Any:
        """Do it, and return the answer."""
        match effect:
            case Exchange():
                return self._control.exchange(effect)
            case Reconnect():
                return self._control.drop()
            case Diagnose():
                from stoker_client.diagnosing import diagnose  # a tenth of a command's time, and few need it

                return diagnose(self._control.target.endpoint, self._control.target.key)
            case OpenEvents(endpoint, topics):
                return self._open_events(endpoint, topics)
            case NextEvent(timeout_s):
                return self._next_event(timeout_s)
            case Sleep(seconds):
                return time.sleep(seconds)
            case Now():
                return time.monotonic()
            case BeginFile() | AppendFile() | FinishFile() | MeasureFile() | ReadFile():
                return self._files.perform(effect) if self._files is not None else None
            case Emit():
                return None

    def _next_event(self, timeout_s: float) -> tuple[str, bytes] | None:
        if self._events is None or not self._events.poll(max(0, int(timeout_s * 1000))):
            return None
        return event_in(self._events.recv_multipart())

    def _open_events(self, endpoint: str, topics: tuple[str, ...]) -> None:
        self._close_events()
        self._events = open_events(self._context, endpoint, topics, self._control.target.key)

    def _close_events(self) -> None:
        if self._events is not None:
            self._events.close()
        self._events = None


def _poll(socket: zmq.Socket[bytes], until_s: float) -> bool:
    left_s = until_s - time.monotonic()
    return left_s > 0 and bool(socket.poll(int(left_s * 1000) + 1))
