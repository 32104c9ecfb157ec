"""The durable queue as the rooms below see it: each verb is one transaction or one consistent read."""

import asyncio
import secrets
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from itertools import count
from pathlib import Path
from typing import TypeVar

from msgspec import structs

from stoker_daemon.jobs.records import (
    Commit,
    Files,
    Interrupted,
    JobFolder,
    KeptFiles,
    Leaving,
    OpenJob,
    Placement,
    Recorded,
    Result,
    Run,
    WaitingLots,
)
from stoker_daemon.ports import ClaimOrder, Clock, StoredSnapshot
from stoker_daemon.sqlite import (
    accepting,
    ahead,
    claiming,
    controlling,
    forgetting,
    pruning,
    reading,
    recovering,
    statistics,
    sweeping,
)
from stoker_daemon.sqlite.database import FILE_NAME, Lock
from stoker_daemon.sqlite.migrating import open_database
from stoker_daemon.sqlite.reader import Reader
from stoker_daemon.sqlite.recording import Ended, record
from stoker_daemon.sqlite.turns import keep_by_client
from stoker_daemon.sqlite.writer import PROBE_S, Transaction, Writer
from stoker_protocol import codec
from stoker_protocol.errors import ErrorCode, Refused
from stoker_protocol.events import LifecycleEvent
from stoker_protocol.jobs import Artifact, Job, Pause, Priority, Queue
from stoker_protocol.replies import (
    Appended,
    ArtifactsPage,
    CancelledJob,
    EventsPage,
    Finding,
    ItemsPage,
    JobReply,
    JobsPage,
    Moved,
    OutputTotal,
    Paused,
    Resumed,
    Retried,
    Sealed,
    Stats,
)
from stoker_protocol.requests import (
    Append,
    Cancel,
    EventsSince,
    GetSnapshot,
    GetStats,
    ListArtifacts,
    ListItems,
    ListJobs,
    ListOutputs,
    Move,
    PauseWork,
    ResumeWork,
    Retry,
    Seal,
    Submit,
)

CANCELS_AT_ONCE = 50
"""Jobs cancelled in one transaction when a selection is."""
SUMMARIES_AT_ONCE = 4

T = TypeVar("T")
REMOVED = "find out what removes it, restart the daemon, restore a backup, and submit again what is not in it"


class Store:
    """Implements `ports.JobStore`. Opened by its constructor, started on the loop, ended by `close`."""

    def __init__(self, data_dir: Path, clock: Clock, boot: str, *, max_pending: int, by_client: bool = False) -> None:
        """Take the directory and open its database; beyond `max_pending` waiting items no more are taken.

        What waits is kept `by_client` where clients take turns.

        Raises:
            StoreError: Another daemon has the directory, or the database can't be used.
        """
        self._path = data_dir / FILE_NAME
        self._lock = Lock(data_dir)
        self._lock.take()
        try:
            connection = open_database(data_dir)
            keep_by_client(connection, by_client=by_client)
        except BaseException:
            self._lock.release()
            raise
        self.instance_id = _instance_id(connection)
        self._boot = boot
        self._clock = clock
        self._max_pending = max_pending
        self._run_numbers = count(1)
        self._swept: set[int] = set()
        self._writer = Writer(connection, data_dir / FILE_NAME, clock)
        self._reader = Reader(data_dir / FILE_NAME)
        self._write, self._read = self._writer.write, self._reader.read
        self._accept = partial(accepting.accept, max_pending=max_pending)

    def start(self) -> None:
        """Begin to write, on the running loop."""
        self._writer.start()

    def close(self) -> None:
        """Commit what waits, end the threads and let the directory go."""
        self._writer.close()
        self._reader.close()
        self._lock.release()

    def subscribe(self, listener: Callable[[Commit], None]) -> None:
        self._writer.subscribe(listener)

    def head(self) -> int:
        return self._writer.head

    def stalled_s(self) -> float:
        """Seconds that the commits at work have taken so far; 0 while there are none."""
        since_s = self._writer.busy_since_s
        return 0.0 if since_s is None else self._clock.monotonic_s() - since_s

    def findings(self) -> list[Finding]:
        trouble = self._writer.trouble or self._writer.stuck
        if not self._path.exists():
            trouble = f"{self._path} was removed under the daemon, so what comes in is lost when it ends: {REMOVED}"
        return [Finding("store", ok=not trouble, detail=trouble)]

    # What comes in

    async def accept(self, request: Submit, body: bytes, client: str, placement: Placement) -> None:
        await self._writer.write_alike(self._accept, accepting.Submission(request, body, client, placement))

    async def check_new(self, request: Submit, body: bytes) -> None:
        await self._read(lambda c: accepting.is_known(c.execute, request.job_id, codec.fingerprint(body)))

    async def open_job(self, job_id: str) -> OpenJob:
        return await self._read(lambda connection: accepting.read_open_job(connection.execute, job_id))

    async def append(self, request: Append) -> Appended:
        return await self._write(lambda tx: accepting.append(tx, request, self._max_pending))

    async def seal(self, request: Seal) -> Sealed:
        return await self._write(lambda tx: accepting.seal(tx, request.job_id))

    async def pause_idle(self, idle_s: float) -> int:
        return await self._write(lambda tx: controlling.pause_idle(tx, round(idle_s * 1000)))

    # What people do to it

    async def cancel(self, request: Cancel, author: str, owner: str | None = None) -> list[CancelledJob]:
        job_keys = await self._read(lambda connection: sweeping.read_jobs_to_cancel(connection, request, owner))
        done: list[CancelledJob] = []
        for start in range(0, len(job_keys), CANCELS_AT_ONCE):
            some = job_keys[start : start + CANCELS_AT_ONCE]
            begun = await self._write(lambda tx, some=some: sweeping.cancel(tx, some, request.scope, author))
            for reply, unfinished in begun:
                done.append(await self._finish_cancel(reply, unfinished, author))
        return done

    async def retry(self, request: Retry, author: str) -> Retried:
        def work(tx: Transaction) -> tuple[Retried, int | None]:
            pruning.keep_again(tx, request.job_id)
            return sweeping.retry(tx, request, author)

        reply, unfinished = await self._write(work)
        await self._sweep(unfinished, author)
        return reply

    async def move(self, request: Move, author: str) -> Moved:
        return await self._write(lambda tx: controlling.move(tx, request, author))

    async def pause(self, request: PauseWork, author: str) -> Paused:
        def work(tx: Transaction) -> Paused:
            pause = Pause(request.reason, author, tx.now_ms)
            if request.job_id is None:
                return controlling.pause_queue(tx, pause, interrupt=request.interrupt)
            return controlling.pause_job(tx, request.job_id, pause, interrupt=request.interrupt)

        return await self._write(work)

    async def resume(self, request: ResumeWork, author: str) -> Resumed:
        job_id = request.job_id
        if job_id is None:
            return await self._write(lambda tx: controlling.resume_queue(tx, author))
        return await self._write(lambda tx: controlling.resume_job(tx, job_id, author))

    # What lanes do

    async def claim(self, order: ClaimOrder) -> Run | None:
        return await self._write(lambda tx: claiming.claim(tx, order, self._next_run_id()))

    async def record(self, ended: Sequence[tuple[Run, Sequence[Result]]], order: ClaimOrder | None) -> Recorded:
        def work(tx: Transaction) -> Recorded:
            jobs = record(tx, [Ended(run.run_id, run.members, results) for run, results in ended])
            finished = tuple(job.job_id for job in jobs if job.state.is_final)
            return Recorded(finished, claiming.claim_some(tx, order, self._next_run_id) if order else ())

        return await self._write(work)

    async def tell(self, topic: str, event: LifecycleEvent) -> None:
        await self._write(lambda tx: tx.tell(topic, event))

    async def ready_items(self) -> dict[Priority, int]:
        return await self._read(reading.read_ready)

    async def waiting(self, *, alike: bool = False) -> WaitingLots:
        return await self._read(ahead.read_alike if alike else ahead.read_waiting)

    async def queue(self) -> Queue:
        return await self._read(reading.read_queue)

    async def back_off_ends_ms(self, job_id: str) -> int | None:
        return await self._read(lambda connection: ahead.read_back_off_end(connection, job_id))

    async def next_due_ms(self) -> int | None:
        return await self._read(reading.read_next_due_ms)

    async def remember(self, key: str, text: str) -> None:
        await self._write(lambda tx: tx.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, text)))

    async def recall(self, key: str) -> str | None:
        return await self._read(lambda connection: reading.read_kept_text(connection, key))

    # What a new daemon does first

    async def finish_sweeps(self) -> int:
        unfinished = await self._read(sweeping.read_unfinished)
        for job_key in unfinished:
            await self._sweep(job_key, "stokerd")
        return len(unfinished)

    async def interrupted(self) -> list[Interrupted]:
        return await self._read(recovering.read_interrupted)

    async def hand_back(self, run: Interrupted) -> None:
        await self._write(lambda tx: recovering.hand_back(tx, run))

    async def take_up(self, run: Interrupted, order: ClaimOrder) -> Run:
        return await self._read(lambda connection: recovering.take_up(connection, run, order))

    async def unsummed(self) -> list[JobFolder]:
        return await self._read(lambda connection: reading.read_unsummed(connection, SUMMARIES_AT_ONCE))

    async def summed(self, job: Job) -> None:
        await self._write(lambda tx: recovering.mark_summed(tx, job))

    # What people look at

    async def job(self, job_id: str) -> JobReply:
        return await self._read(lambda connection: reading.read_one_job(connection, job_id))

    async def jobs(self, request: ListJobs) -> JobsPage:
        return await self._read(lambda connection: reading.read_jobs(connection, request))

    async def items(self, request: ListItems) -> ItemsPage:
        return await self._read(lambda connection: reading.read_items(connection, request))

    async def artifacts(self, request: ListArtifacts) -> ArtifactsPage:
        return await self._read(lambda connection: reading.read_artifacts(connection, request))

    async def artifact(self, artifact_id: int) -> Artifact:
        return await self._read(lambda connection: reading.read_artifact(connection, artifact_id))

    async def kept_files(self, request: ListOutputs) -> tuple[list[KeptFiles], str]:
        return await self._read(lambda connection: pruning.read_kept(connection, request))

    async def output_totals(self) -> list[OutputTotal]:
        sums: defaultdict[pruning.Kind, Files] = defaultdict(Files)
        start: int | None = 0
        while start is not None:
            some, start = await self._read(lambda connection, at=start: pruning.read_totals(connection, at))
            for kind, files in some.items():
                sums[kind] += files
        totals = [OutputTotal(*kind, files.artifacts, files.bytes) for kind, files in sums.items()]
        return sorted(totals, key=lambda total: (-total.bytes, total.engine, total.model, total.media_type))

    # How files leave

    async def cleanable(self, before_ms: int) -> tuple[int, Files]:
        jobs, files = 0, Files()
        start: int | None = 0
        while start is not None:
            query = partial(pruning.read_cleanable, before_ms=before_ms, start=start)
            some_jobs, some_files, start = await self._read(query)
            jobs, files = jobs + some_jobs, files + some_files
        return jobs, files

    async def begin_leaving(self, before_ms: int) -> Leaving | None:
        return await self._write(lambda tx: pruning.begin_leaving(tx, before_ms))

    async def forget_some_events(self, before_ms: int) -> int:
        return await self._write(lambda tx: forgetting.forget_some_events(tx, before_ms))

    async def forget_events_beyond(self, most: int) -> int:
        return await self._write(lambda tx: forgetting.forget_events_beyond(tx, most))

    async def forget_some_of_a_job(self, before_ms: int) -> bool:
        return await self._write(lambda tx: forgetting.forget_some_of_a_job(tx, before_ms))

    async def forget_some_artifacts(self, leaving: Leaving) -> Files | None:
        return await self._write(lambda tx: pruning.forget_some_artifacts(tx, leaving))

    # What a late subscriber asks for

    async def snapshot(self, request: GetSnapshot) -> StoredSnapshot:
        return await self._read(lambda connection: reading.read_snapshot(connection, request))

    async def stats(self, request: GetStats) -> Stats:
        now_ms = self._clock.now_ms()
        return await self._read(lambda connection: statistics.read_stats(connection, request, now_ms))

    async def events_since(self, request: EventsSince) -> EventsPage:
        return await self._read(lambda connection: reading.read_events(connection, request, self.instance_id))

    async def _finish_cancel(self, reply: CancelledJob, unfinished: int | None, author: str) -> CancelledJob:
        if unfinished is None:
            return reply
        await self._sweep(unfinished, author)
        job = await self._read(lambda connection: reading.read_one_job(connection, reply.job_id))
        return structs.replace(reply, state=job.job.state)

    async def _sweep(self, job_key: int | None, author: str) -> None:
        """Bring a cancel or retry of a large job to its end, unless somebody is at it already."""
        if job_key is None or job_key in self._swept:
            return
        self._swept.add(job_key)
        start: int | None = 0
        try:
            while start is not None:
                start = await self._step(lambda tx, at=start: sweeping.sweep(tx, job_key, at, author))
        finally:
            self._swept.remove(job_key)

    async def _step(self, work: Callable[[Transaction], T]) -> T:
        """Write a step of what is committed to already, so that it has to come to its end: once the disk takes it."""
        while True:
            try:
                return await self._write(work)
            except Refused as refused:
                if refused.code is not ErrorCode.STORAGE_UNAVAILABLE:
                    raise
            await asyncio.sleep(PROBE_S)

    def _next_run_id(self) -> str:
        return f"{self._boot}.{next(self._run_numbers)}"


def _instance_id(connection: sqlite3.Connection) -> str:
    """The database's own id, made when it is."""
    connection.execute("INSERT OR IGNORE INTO meta VALUES ('instance_id', ?)", (secrets.token_hex(8),))
    return connection.execute("SELECT value FROM meta WHERE key = 'instance_id'").fetchone()[0]
