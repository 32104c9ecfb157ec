"""Binds the two sockets that clients of dgx-pixels know, and speaks to the daemon as a client like any other."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import zmq
import zmq.asyncio

from stoker_client.async_client import AsyncClient
from stoker_client.bridges.dgx_pixels import mapping
from stoker_client.bridges.dgx_pixels import messages as dgx
from stoker_client.errors import NotFound, StokerError
from stoker_client.operations.watching import Update
from stoker_protocol import codec
from stoker_protocol.events import JobProgress, Preview
from stoker_protocol.jobs import Job, JobState

MAX_REQUEST = 1 << 20
MOST_WAITING = 100
"""Requests that are answered at a time; others wait in their sockets."""
MOST_PREVIEWS = 200
"""Files of previews; then the oldest goes."""
_SUFFIXES = {"image/png": ".png", "image/jpeg": ".jpg", "image/webp": ".webp"}


class Bridge:
    """Serves while `run` runs; `control` and `updates` are where."""

    def __init__(self, client: AsyncClient, control: str, updates: str, previews: Path) -> None:
        self._client = client
        self._context = zmq.asyncio.Context()
        self._router = self._context.socket(zmq.ROUTER)
        self._router.set(zmq.MAXMSGSIZE, MAX_REQUEST)
        self._pub = self._context.socket(zmq.PUB)
        self._router.bind(control)
        self._pub.bind(updates)
        self.control = self._router.get_string(zmq.LAST_ENDPOINT)
        self.updates = self._pub.get_string(zmq.LAST_ENDPOINT)
        self._previews = previews
        self._kept: dict[Path, None] = {}
        self._ours: dict[str, bool] = {}
        """Jobs of such clients that have not ended: whether their start was told."""

    async def run(self) -> None:
        """Answer and publish until it is cancelled.

        Raises:
            DaemonUnavailable: The daemon can't be reached as it begins; later absences are waited out.
        """
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._publish())
                tasks.create_task(self._serve(tasks))
        except ExceptionGroup as group:
            raise group.exceptions[0] from None
        finally:
            self._context.destroy(linger=0)

    async def _serve(self, tasks: asyncio.TaskGroup) -> None:
        slots = asyncio.Semaphore(MOST_WAITING)
        while True:
            await slots.acquire()
            frames = await self._router.recv_multipart()
            answering = tasks.create_task(self._answer(frames))
            answering.add_done_callback(lambda _: slots.release())

    async def _answer(self, frames: list[bytes]) -> None:
        """One reply to one message of a REQ or DEALER, whatever it is."""
        *envelope, body = frames
        try:
            reply = await self._reply(dgx.decode(body))
        except msgspec.DecodeError as error:
            reply = dgx.Error(message=str(error))
        except StokerError as error:
            reply = dgx.Error(message=str(error))
        await self._router.send_multipart([*envelope, dgx.encode(reply)])

    async def _reply(self, request: dgx.Request) -> dgx.Reply:
        match request:
            case dgx.Generate():
                return await self._generate(request)
            case dgx.Cancel(job_id=job_id):
                try:
                    await self._client.cancel(job_id)
                except StokerError as error:
                    return dgx.JobError(job_id=job_id, error=str(error))
                return dgx.JobCancelled(job_id=job_id)
            case dgx.ListModels():
                return dgx.ModelList(models=mapping.models(await self._client.engines()))
            case dgx.Status():
                return await self._status()
            case dgx.Ping():
                await self._client.ping()
                return dgx.Pong()

    async def _generate(self, asked: dgx.Generate) -> dgx.Reply:
        """Their `id` is our job's, so that asking again makes nothing twice, and tells of one that ended how it did."""
        try:
            before = await self._job_before(asked.id)
            engines, recipes = await self._client.engines(), await self._client.recipes()
            items, options = mapping.order(asked, engines, recipes)
            accepted = await self._client.submit(items, job_id=asked.id, **options)
            if before is not None and before.state.is_final:
                return await self._end_of(before)
        except StokerError as error:
            return dgx.JobError(job_id=asked.id, error=str(error))
        return dgx.JobAccepted(job_id=accepted.job_id, estimated_time_s=await self._estimate(accepted.items))

    async def _job_before(self, job_id: str) -> Job | None:
        try:
            return await self._client.job(job_id)
        except NotFound:
            return None

    async def _end_of(self, job: Job) -> dgx.Reply:
        """What a client learns that was not there when it ended; the pictures are fetched for it."""
        if job.state is JobState.CANCELLED:
            return dgx.JobCancelled(job_id=job.job_id)
        if job.state is JobState.FAILED:
            return dgx.JobError(job_id=job.job_id, error=job.error.message if job.error else "it failed")
        paths = [path async for path in self._client.fetch(job.job_id, self._previews / job.job_id)]
        if not paths:
            return dgx.JobError(job_id=job.job_id, error="it was made, and its files were removed since")
        return dgx.JobComplete(job_id=job.job_id, image_path=str(paths[0]), duration_s=mapping.took_s(job))

    async def _estimate(self, items: int) -> float:
        """Seconds until so many more items are done, by what was done in the last hour; 0: nothing was."""
        stats, state = await self._client.stats(), await self._client.snapshot()
        waiting = state.queue.pending + state.queue.running
        return max(items, waiting) / stats.items_per_s if stats.items_per_s > 0 else 0.0

    async def _status(self) -> dgx.StatusInfo:
        state = await self._client.snapshot()
        running = sum(job.state is JobState.RUNNING for job in state.jobs)
        return dgx.StatusInfo(
            version=state.daemon.version,
            queue_size=len(state.jobs) - running,
            active_jobs=running,
            uptime_s=max(0, round(time.time() - state.daemon.started_at_ms / 1000)),
        )

    async def _publish(self) -> None:
        async for update in self._client.watch(previews=True):
            async for told in self._told_by(update):
                await self._pub.send(dgx.encode(told))

    async def _told_by(self, update: Update) -> AsyncIterator[dgx.Update]:
        event, job = update.event, update.job
        if job is not None and _is_marked(job):
            self._ours.setdefault(job.job_id, False)
        if job is None or job.job_id not in self._ours:
            return
        if update.link == "gone":
            del self._ours[job.job_id]
            yield dgx.JobFinished(job_id=job.job_id, success=False, duration_s=0.0)
        elif isinstance(event, JobProgress):
            yield mapping.progress(job.job_id, event.progress)
        elif isinstance(event, Preview):
            path = await asyncio.to_thread(self._keep, event)
            yield dgx.Preview(job_id=job.job_id, image_path=str(path), step=event.step)
        else:
            for told in self._state(job):
                yield told

    def _state(self, job: Job) -> list[dgx.Update]:
        """What is new for such clients now that a job is like this."""
        told: list[dgx.Update] = []
        has_begun = job.state is JobState.RUNNING or (job.state.is_final and job.started_at_ms is not None)
        if has_begun and not self._ours[job.job_id]:
            self._ours[job.job_id] = True
            told.append(mapping.started(job))
        if job.state.is_final:
            del self._ours[job.job_id]
            told.append(mapping.finished(job))
        return told

    def _keep(self, preview: Preview) -> Path:
        """The newest preview of a job as a file; its name is made of the job's id, which is fit for one."""
        self._previews.mkdir(parents=True, exist_ok=True)
        path = self._previews / f"{preview.job_id}{_SUFFIXES.get(preview.media_type, '.bin')}"
        part = path.with_name(f"{path.name}.part")
        part.write_bytes(preview.image)
        self._kept.pop(path, None)
        self._kept[path] = None
        if len(self._kept) > MOST_PREVIEWS:
            oldest = next(iter(self._kept))
            del self._kept[oldest]
            oldest.unlink(missing_ok=True)
        return part.replace(path)


def _is_marked(job: Job) -> bool:
    try:
        return codec.unpack_map(job.metadata).get("bridge") == mapping.METADATA["bridge"]
    except msgspec.DecodeError:
        return False
