"""The client for asyncio: performs the effects of the operations without blocking the loop."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, TypeVar, Unpack

import zmq
import zmq.asyncio

from stoker_client.diagnosing import diagnose
from stoker_client.errors import InvalidState
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
    FileEffect,
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

T = TypeVar("T")


class AsyncClient:
    """Reaches one daemon from one event loop; several calls at once are welcome.

    Without an endpoint the environment's STOKER_ENDPOINT is used, or `tcp://127.0.0.1:5577`. A daemon elsewhere
    asks for a `key`, a file or a ClientKey, which names its endpoint too; without one the environment's STOKER_KEY is
    used, or what `stoker connect` kept. `timeout_s` bounds the wait for an answer. All methods raise `StokerError`s;
    which ones, the daemon decides (`stoker_client.errors`).
    """

    def __init__(self, endpoint: str | None = None, *, key: KeyLike | None = None, timeout_s: float = 5.0) -> None:
        self._target = target(endpoint, key)
        self.endpoint, self.key = self._target.endpoint, self._target.key
        self._caller = Caller(new_session(), self.endpoint, timeout_s)
        self._context = zmq.asyncio.Context()
        self._control = _Control(self._context, self._target)

    async def __aenter__(self) -> "AsyncClient":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the sockets; calls still at work fail."""
        await self._control.close()
        self._context.destroy(linger=0)

    async def hello(self) -> re.Welcome:
        """Who answers, and who the caller is there."""
        return await self._run(verbs.hello(self._caller))

    async def ping(self) -> float:
        """Seconds to the daemon and back."""
        return await self._run(verbs.ping(self._caller))

    async def health(self) -> re.HealthReport:
        """Whether a job can make progress, and what is in its way."""
        return await self._run(verbs.health(self._caller))

    async def check(self) -> list[re.Finding]:
        """Whether what the daemon keeps on its disk is sound, and what to do if not."""
        return await self._run(verbs.check(self._caller))

    async def submit(
        self, items: Sequence[ItemLike], *, job_id: str | None = None, **options: Unpack[SubmitOptions]
    ) -> re.Submitted:
        """Submit a job; on return it is on the daemon's disk.

        An item is a prompt, or a map with `params` and perhaps a `custom_id`. `job_id` makes repeating harmless: the
        same submit under it is the same job.
        """
        return await self._run(verbs.submit(self._caller, job_id or new_job_id(), items, options))

    async def append(self, job_id: str, at: int, items: Sequence[ItemLike]) -> re.Appended:
        """Add items to a job that was submitted with `more`; `at` is the index of the first, the job's total so far."""
        return await self._run(verbs.append(self._caller, job_id, at, items))

    async def seal(self, job_id: str) -> re.Sealed:
        """Say that no more items come: only then can an open job end."""
        return await self._run(verbs.seal(self._caller, job_id))

    async def find(self, said: str) -> Job:
        """The job that a person means by an id, the beginning of one, or a name; which one must be clear."""
        return await self._run(verbs.find(self._caller, said))

    async def job(self, job_id: str) -> Job:
        """One job as it is now."""
        return await self._run(verbs.job(self._caller, job_id))

    def jobs(self, states: Sequence[str] = ()) -> AsyncIterator[Job]:
        """All jobs, newest first, or those in some states."""
        return self._stream(verbs.jobs(self._caller, states))

    def items(self, job_id: str, states: Sequence[str] = (), *, with_params: bool = False) -> AsyncIterator[Item]:
        """The items of a job in order."""
        return self._stream(verbs.items(self._caller, job_id, states, with_params=with_params))

    async def cancel(self, *job_ids: str) -> re.Cancelled:
        """Cancel jobs; harmless to repeat."""
        return await self._run(verbs.cancel(self._caller, job_ids, None))

    async def cancel_all(self, scope: Scope = "all") -> re.Cancelled:
        """Cancel all jobs that are not final (`all`) or that have not begun (`queued`)."""
        return await self._run(verbs.cancel(self._caller, None, scope))

    async def retry(self, job_id: str, states: Sequence[str] = ("failed",)) -> re.Retried:
        """Send the items of a job that ended in these states back to the queue."""
        return await self._run(verbs.retry(self._caller, job_id, states))

    async def move(self, job_id: str, priority: str | None = None, *, front: bool = False) -> re.Moved:
        """Give a job another priority, or with `front` the first place in its priority."""
        return await self._run(verbs.move(self._caller, job_id, priority, front=front))

    async def pause(
        self, job_id: str | None = None, *, reason: str = "", interrupt: bool = False, release_gpu: bool = False
    ) -> re.Paused:
        """Hold back a job, or all work; with `interrupt` also what runs now, with `release_gpu` models go, too."""
        return await self._run(verbs.pause(self._caller, job_id, reason, interrupt=interrupt, release_gpu=release_gpu))

    async def resume(self, job_id: str | None = None) -> re.Resumed:
        """Let a job, or all work, go on."""
        return await self._run(verbs.resume(self._caller, job_id))

    async def snapshot(self, job_ids: Sequence[str] | None = None, *, include_final: bool = False) -> re.SnapshotPage:
        """Queue, lanes and jobs: those named, or all that are not final, or all."""
        return await self._run(verbs.snapshot(self._caller, job_ids, include_final=include_final))

    def artifacts(self, job_id: str) -> AsyncIterator[Artifact]:
        """The files that a job made, in item order."""
        return self._stream(verbs.artifacts(self._caller, job_id))

    def fetch(self, job_id: str, directory: str | os.PathLike[str]) -> AsyncIterator[Path]:
        """Bring the files that a job made into a directory, checked; those that are there already are left."""
        return self._stream(verbs.fetch(self._caller, job_id), Folder(directory))

    def outputs(self, job_id: str | None = None) -> AsyncIterator[re.JobOutputs]:
        """What each job has on disk, newest job first, or the one named."""
        return self._stream(verbs.outputs(self._caller, job_id))

    async def output_totals(self) -> re.OutputsPage:
        """What all files amount to, in its `totals`, and the disk that they are on."""
        return await self._run(verbs.output_totals(self._caller))

    async def clean_outputs(self, older_than_s: float, *, dry_run: bool = False) -> re.OutputsCleaned:
        """Remove the files of jobs that ended so long ago; with `dry_run` only say what that would be."""
        return await self._run(verbs.clean_outputs(self._caller, older_than_s, dry_run=dry_run))

    async def engines(self) -> list[Engine]:
        """The engines with their models and parameters."""
        return await self._run(verbs.engines(self._caller))

    async def models(self, kind: str = "", engine: str = "") -> list[re.EngineModels]:
        """The models of each engine, or of one; by kind: `checkpoint` (what a job may name as its model), `lora` ..."""
        return await self._run(verbs.models(self._caller, kind, engine))

    async def recipes(self) -> list[Recipe]:
        """The recipes with their parameters."""
        return await self._run(verbs.recipes(self._caller))

    async def recipe(self, name: str, engine: str = "") -> Recipe:
        """One recipe with its workflow, of the first engine that has it or of the one named."""
        return await self._run(verbs.recipe(self._caller, name, engine))

    async def profiles(self) -> list[Profile]:
        """The profiles: named sets of defaults."""
        return await self._run(verbs.profiles(self._caller))

    async def upload(self, source: str | os.PathLike[str] | bytes, *, told: Told | None = None) -> str:
        """Bring an input file, or bytes, to the daemon: the `blob:SHA256` by which parameters mean it.

        What is there is not sent again, so after a break a repetition goes on from there. `told` hears how many bytes
        of how many are there.
        """
        return await self._run(uploading.upload(self._caller, told), Source(source))

    async def recent_events(self, number: int = 10) -> list[AnyEvent]:
        """The newest committed events, oldest first; `watch` follows them."""
        return await self._run(verbs.recent_events(self._caller, number))

    async def stats(self, job_id: str | None = None, *, window_s: float | None = None) -> re.Stats:
        """What was done in the last seconds, by default 3600, or of one job in its life: how fast, after what wait."""
        return await self._run(verbs.stats(self._caller, job_id, window_s))

    async def gpu(self) -> re.GpuReport:
        """How the GPUs and their host are now and were in the last minutes, and who holds what on the executor's."""
        return await self._run(verbs.gpu(self._caller))

    async def plan(self, grouping: Grouping | None = None) -> re.Plan:
        """The runs to come, in waves: consecutive runs on one model, with what they gain and why they come.

        `grouping`: what shares a run, by default as the daemon has it; `strict`: what differs in nothing but the seed.
        """
        return await self._run(verbs.plan(self._caller, grouping))

    async def why(self, job_id: str) -> re.Why:
        """Why a job does not run yet, and when it does at the latest."""
        return await self._run(verbs.why(self._caller, job_id))

    async def execute_plan(self, token: str) -> re.PlanBegun:
        """Carry out a plan exactly as it was shown. Raises StalePlan: what it was made of has changed."""
        return await self._run(verbs.execute_plan(self._caller, token))

    async def describe(self) -> re.Description:
        """JSON Schema of all that can be said."""
        return await self._run(verbs.describe(self._caller))

    async def reload(self) -> re.Reloaded:
        """Have the configuration read again. Raises BadRequest: it makes no sense, and the old one stays in force."""
        return await self._run(verbs.reload(self._caller))

    async def shutdown(self, reason: str = "") -> re.ShuttingDown:
        """Stop the daemon gracefully."""
        return await self._run(verbs.shutdown(self._caller, reason))

    def watch(
        self,
        job_ids: Sequence[str] | None = None,
        *,
        previews: bool = False,
        progress: bool = True,
        pauses: bool = False,
    ) -> AsyncIterator[Update]:
        """Follow jobs until they are final, or everything for ever; each lifecycle event comes exactly once.

        First come the jobs as they are. Restarts of the daemon and lost events are made up for. With
        `pauses`, who follows named jobs also hears when all work is held back or let go on.
        """
        watch = watching.Watch(self._caller, job_ids, previews=previews, progress=progress, pauses=pauses)
        return self._stream(watch.run())

    async def wait(self, job_id: str, timeout_s: float | None = None) -> Job:
        """The job when it is final. Raises TimeoutError."""
        return await self._run(watching.wait(self._caller, job_id, timeout_s))

    async def _run(self, operation: Operation[T], files: Files | None = None) -> T:
        """Perform an operation that emits nothing."""
        with _Performer(self._context, self._control, files) as performer:
            answer: Any = None
            while True:
                try:
                    effect = operation.send(answer)
                except StopIteration as end:
                    return end.value
                answer = await performer.perform(effect)

    async def _stream(self, operation: Operation[None], files: Files | None = None) -> AsyncIterator[Any]:
        """Perform an operation and yield what it emits."""
        with _Performer(self._context, self._control, files) as performer:
            answer: Any = None
            while True:
                try:
                    effect = operation.send(answer)
                except StopIteration:
                    return
                answer = await performer.perform(effect)
                if isinstance(effect, Emit):
                    yield effect.value


class _Control:
    """The way to the control socket for many requests at once; those after a `drop` take a new connection."""

    def __init__(self, context: zmq.asyncio.Context, target: Target) -> None:
        self._context = context
        self.target = target
        self._current: _Connection | None = None
        self._dropped: list[_Connection] = []

    async def exchange(self, exchange: Exchange) -> bytes | None:
        """Send a request and wait for its reply."""
        if self._current is None:
            self._current = _Connection(open_control(self._context, self.target.endpoint, self.target.key))
        try:
            return await self._current.exchange(exchange)
        finally:
            self._close_unused()

    def drop(self) -> None:
        """Forget the connection; others that wait on it may still be answered."""
        if self._current is not None:
            self._dropped.append(self._current)
            self._current = None
        self._close_unused()

    async def close(self) -> None:
        """Close all connections."""
        self.drop()
        for connection in self._dropped:
            connection.close()
        await asyncio.sleep(0)  # lets their tasks end

    def _close_unused(self) -> None:
        for connection in self._dropped:
            if not connection.waiting:
                connection.close()
        self._dropped = [connection for connection in self._dropped if connection.waiting]


class _Connection:
    """One control socket, and the task that hands each reply to who waits for it."""

    def __init__(self, socket: zmq.asyncio.Socket) -> None:
        self.waiting: dict[str, asyncio.Future[bytes]] = {}
        self._socket = socket
        self._reader = asyncio.create_task(self._read())

    async def exchange(self, exchange: Exchange) -> bytes | None:
        answer = self.waiting[exchange.request_id] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(exchange.timeout_s):
                await self._socket.send_multipart([b"", exchange.message])
                return await answer
        except TimeoutError:
            return None
        finally:
            del self.waiting[exchange.request_id]

    def close(self) -> None:
        """Close the socket; whoever waits is told."""
        self._reader.cancel()
        self._socket.close()
        for answer in self.waiting.values():
            if not answer.done():
                answer.set_exception(InvalidState("invalid_state", "the client was closed before the answer came"))

    async def _read(self) -> None:
        """Replies that nobody waits for are doubles and dropped."""
        while True:
            body = (await self._socket.recv_multipart())[-1]
            answer = self.waiting.get(request_id_of(body))
            if answer is not None and not answer.done():
                answer.set_result(body)


class _Performer:
    """Performs the effects of one operation; an events socket and a folder are its own."""

    def __init__(self, context: zmq.asyncio.Context, control: _Control, files: Files | None = None) -> None:
        self._context = context
        self._control = control
        self._files = files
        self._events: zmq.asyncio.Socket | None = None

    def __enter__(self) -> "_Performer":
        return self

    def __exit__(self, *_: object) -> None:
        self._close_events()
        if self._files is not None:
            self._files.close()

    async def perform(self, effect: Effect) -> Any:
        """Do it, and return the answer."""
        match effect:
            case Exchange():
                return await self._control.exchange(effect)
            case Reconnect():
                return self._control.drop()
            case Diagnose():
                return await asyncio.to_thread(diagnose, self._control.target.endpoint, self._control.target.key)
            case OpenEvents(endpoint, topics):
                return self._open_events(endpoint, topics)
            case NextEvent(timeout_s):
                return await self._next_event(timeout_s)
            case Sleep(seconds):
                return await asyncio.sleep(seconds)
            case Now():
                return time.monotonic()
            case BeginFile() | AppendFile() | FinishFile() | MeasureFile() | ReadFile():
                return await self._use_files(effect)
            case Emit():
                return None

    async def _use_files(self, effect: FileEffect) -> Any:
        """Work on files on a thread, which is not left alone with them when the caller is cancelled."""
        if self._files is None:
            return None
        work = asyncio.create_task(asyncio.to_thread(self._files.perform, effect))
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            await asyncio.wait([work])
            raise

    async def _next_event(self, timeout_s: float) -> tuple[str, bytes] | None:
        if self._events is None or not await self._events.poll(max(0, int(timeout_s * 1000))):
            return None
        return event_in(await self._events.recv_multipart())

    def _open_events(self, endpoint: str, topics: tuple[str, ...]) -> None:
        self._close_events()
        self._events = open_events(self._context, endpoint, topics, self._control.target.key)

    def _close_events(self) -> None:
        if self._events is not None:
            self._events.close()
        self._events = None
