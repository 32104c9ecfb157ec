"""What the fake daemon knows: jobs, their files and a log of events in plain memory, and its answer to each verb."""

import hashlib
from typing import Any, Literal

from msgspec import UNSET, Raw, structs
from tests.fakes.ahead import look_ahead
from tests.fakes.gpus import REPORT
from tests.fakes.offers import COMFYUI, PROFILE, RECIPE, SPRITES, WORKFLOW

from stoker_protocol import codec
from stoker_protocol import replies as re
from stoker_protocol import requests as ask
from stoker_protocol.changes import ConfigChange
from stoker_protocol.errors import ErrorCode, Refused
from stoker_protocol.events import (
    QUEUE_TOPIC,
    AnyEvent,
    JobAppended,
    JobCancelled,
    JobEvent,
    JobMoved,
    JobPaused,
    JobResumed,
    JobRetried,
    JobSealed,
    JobSubmitted,
    QueuePaused,
    QueueResumed,
    RunFinished,
    RunStarted,
    topic_of_job,
)
from stoker_protocol.jobs import (
    Artifact,
    Daemon,
    Item,
    ItemCounts,
    ItemState,
    Job,
    JobState,
    Lane,
    Outcome,
    Pause,
    Priority,
    Queue,
    Run,
)
from stoker_protocol.schema import describe

PAGE = 3
"""Entries of one page, whatever is asked for: so that few jobs make several pages."""
NOW_MS = 1_700_000_000_000

End = Literal["succeeded", "failed", "cancelled"]


class World:
    """All state of the fake daemon; not thread-safe, and moved on only by these methods."""

    def __init__(self) -> None:
        self.instance_id = "db-1"
        self.boots = 1
        self.jobs: dict[str, Job] = {}
        self.items: dict[str, list[Item]] = {}
        self.submits: dict[str, bytes] = {}
        self.files: dict[int, tuple[Artifact, bytes, str]] = {}
        self.log: list[re.PublishedEvent] = []
        self.forgotten = 0
        """Events up to this seq are gone for good."""
        self.paused: Pause | None = None
        self.event_endpoints: list[str] = []
        self.engines = [SPRITES]
        self.gpu = REPORT
        self.changes: list[ConfigChange] = []
        self.blobs: dict[str, bytes] = {}
        """Input files by their SHA-256, as much of each as came."""

    def boot_again(self, instance_id: str = "") -> None:
        """A new start; with another instance_id that of an empty database."""
        if instance_id:
            self.__init__()
            self.instance_id = instance_id
        self.boots += 1

    def head_facts(self) -> dict[str, Any]:
        """What ticks and syncs say."""
        boot = f"boot-{self.boots}"
        return {"at_ms": NOW_MS, "head": len(self.log), "instance_id": self.instance_id, "boot": boot}

    def commit(self, thread: str, event: AnyEvent) -> None:
        """Write a lifecycle event to the log, of a job without its metadata once those were told."""
        before = [seq for seq, other in enumerate(self.log, start=1) if other.topic.startswith(thread)]
        if isinstance(event, JobEvent) and not isinstance(event, JobSubmitted):
            event = structs.replace(event, job=structs.replace(event.job, metadata=UNSET))
        numbered = structs.replace(event, seq=len(self.log) + 1, prev=max(before, default=0), at_ms=NOW_MS)
        topic = f"{thread}{event.__struct_config__.tag}"
        self.log.append(re.PublishedEvent(topic, Raw(codec.encode(numbered))))

    def add_job(self, job_id: str, items: int = 1, **fields: Any) -> Job:
        """A job whose items wait."""
        facts: dict[str, Any] = {"name": "", "priority": Priority.NORMAL, "engine": "sprites", "model": "plain"}
        self.items[job_id] = [Item(index=i, state=ItemState.PENDING, attempts=0) for i in range(items)]
        self.jobs[job_id] = Job(
            job_id=job_id,
            state=JobState.QUEUED,
            client="local",
            items=ItemCounts(total=items, pending=items),
            created_at_ms=NOW_MS,
            **{**facts, **fields},
        )
        self.commit(topic_of_job(job_id), JobSubmitted(job=self.jobs[job_id]))
        return self.jobs[job_id]

    def start_run(self, job_id: str) -> Job:
        """All items of a job run."""
        job = self._move(job_id, ItemState.RUNNING, JobState.RUNNING)
        indexes = list(range(job.items.total))
        run = Run(f"run-{job_id}", "gpu", job.engine, job.model, job.items.total, indexes)
        self.commit(topic_of_job(job_id), RunStarted(job=job, run=run))
        return job

    def finish(self, job_id: str, state: str = "succeeded") -> Job:
        """All items of a job end."""
        job = self._move(job_id, ItemState(state), JobState(state))
        outcomes = [Outcome(index=item.index, state=item.state, attempt=1) for item in self.items[job_id]]
        self.commit(topic_of_job(job_id), RunFinished(job=job, run_id=f"run-{job_id}", outcomes=outcomes))
        return job

    def add_artifact(self, job_id: str, name: str, data: bytes, **fields: Any) -> Artifact:
        """A file of a job; `fields` may tell lies about it."""
        number = len(self.files)
        artifact = Artifact(
            artifact_id=number,
            index=number,
            output=0,
            path=f"outputs/{job_id}/images/{name}",
            media_type="image/png",
            sha256=hashlib.sha256(data).hexdigest(),
            bytes=len(data),
        )
        self.files[number] = (structs.replace(artifact, **fields), data, job_id)
        return self.files[number][0]

    def answer(self, request: ask.AnyRequest, body: bytes) -> re.AnyReply:
        """Do what is asked. Raises Refused."""
        match request:
            case ask.Submit():
                return self._submit(request, body)
            case ask.Append() | ask.Seal() | ask.Move():
                return self._change_job(request)
            case ask.Cancel():
                return self._cancel(request)
            case ask.Retry():
                return self._retry(request)
            case ask.PauseWork():
                return self._pause(request)
            case ask.ResumeWork():
                return self._resume(request)
            case ask.GetJob(job_id=job_id):
                return re.JobReply(job=self._job(job_id), seq=len(self.log))
            case ask.ListJobs() | ask.ListItems() | ask.ListArtifacts() | ask.GetSnapshot() | ask.EventsSince():
                return self._page_of(request)
            case ask.ReadArtifact():
                return self._read(request)
            case _:
                return self._facts(request)

    def _facts(self, request: ask.AnyRequest) -> re.AnyReply:
        """Answers that need no argument."""
        match request:
            case ask.Hello():
                return re.Welcome(
                    daemon=self._daemon(),
                    versions=[1],
                    features=[],
                    limits={},
                    events=self.event_endpoints,
                    name="local",
                    role="admin",
                    server_time_ms=NOW_MS,
                )
            case ask.Ping():
                return re.Pong(server_time_ms=NOW_MS)
            case ask.Check():
                return re.Checked(findings=[re.Finding("database", ok=True, detail="sound")])
            case ask.Health():
                return re.HealthReport(ready=True, findings=[re.Finding("store", ok=True)])
            case ask.ListEngines():
                return re.EnginesReply(engines=self.engines)
            case ask.ListModels() | ask.ListRecipes() | ask.ListProfiles():
                return self._catalogue(request)
            case ask.PutBlob():
                return self._put(request)
            case ask.ListOutputs() | ask.CleanOutputs():
                return self._outputs(request)
            case ask.GetStats(job_id=job_id):
                return _stats(job_id)
            case ask.GetGpu():
                return self.gpu
            case ask.GetPlan() | ask.AskWhy() | ask.ExecutePlan():
                return look_ahead(request, self.jobs)
            case ask.Describe():
                return describe()
            case ask.Reload():
                return re.Reloaded(changes=self.changes)
            case ask.Shutdown():
                return re.ShuttingDown(boot=f"boot-{self.boots}")
            case _:
                raise AssertionError(request)

    def _page_of(
        self, request: ask.ListJobs | ask.ListItems | ask.ListArtifacts | ask.GetSnapshot | ask.EventsSince
    ) -> re.AnyReply:
        match request:
            case ask.ListJobs(states=states, called=called):
                wanted = [job for job in reversed(self.jobs.values()) if not states or job.state in states]
                wanted = [job for job in wanted if job.job_id.startswith(called) or job.name == called]
                return re.JobsPage(**_page("jobs", wanted, request.cursor))
            case ask.ListItems(job_id=job_id, states=states):
                self._job(job_id)
                items = [item for item in self.items[job_id] if not states or item.state in states]
                return re.ItemsPage(**_page("items", items, request.cursor))
            case ask.ListArtifacts(job_id=job_id):
                self._job(job_id)
                artifacts = [artifact for artifact, _, owner in self.files.values() if owner == job_id]
                return re.ArtifactsPage(**_page("artifacts", artifacts, request.cursor))
            case ask.GetSnapshot():
                return self._snapshot(request)
            case ask.EventsSince():
                return self._events_since(request)

    def _snapshot(self, request: ask.GetSnapshot) -> re.SnapshotPage:
        asked, since_ms = request.job_ids, request.ended_since_ms
        jobs = [
            job
            for job in self.jobs.values()
            if (job.job_id in asked if asked is not None else request.include_final or not job.state.is_final)
            or (asked is None and since_ms is not None and (job.finished_at_ms or 0) >= since_ms)
        ]
        active = [job for job in self.jobs.values() if not job.state.is_final]
        return re.SnapshotPage(
            seq=len(self.log),
            daemon=self._daemon(),
            queue=Queue(len(active), 0, len(active), self.paused),
            lanes=[Lane("gpu", "idle")],
            **_page("jobs", jobs, request.cursor),
        )

    def _events_since(self, request: ask.EventsSince) -> re.EventsPage:
        head = len(self.log)
        if request.seq < self.forgotten:
            return re.EventsPage(events=[], through=request.seq, head=head, instance_id=self.instance_id, gap=True)
        after = [
            (seq, event)
            for seq, event in enumerate(self.log, start=1)
            if seq > request.seq and event.topic.startswith(request.topic)
        ]
        through = after[PAGE - 1][0] if len(after) > PAGE else head
        events = [event for _, event in after[:PAGE]]
        return re.EventsPage(events=events, through=through, head=head, instance_id=self.instance_id)

    def _catalogue(self, request: ask.ListModels | ask.ListRecipes | ask.ListProfiles) -> re.AnyReply:
        """What an engine with recipes has, if there is one."""
        has_recipes = COMFYUI in self.engines
        match request:
            case ask.ListModels(kind=kind, engine=name):
                engines = [engine for engine in self.engines if name in ("", engine.name)]
                if not engines:
                    raise Refused(ErrorCode.BAD_REQUEST, f"there is no engine {name!r}", field="engine")
                return re.ModelsReply(
                    engines=[
                        re.EngineModels(engine.name, [m for m in engine.models if kind in ("", m.kind)])
                        for engine in engines
                    ]
                )
            case ask.ListRecipes(name=""):
                return re.RecipesReply(recipes=[RECIPE] if has_recipes else [])
            case ask.ListRecipes(name=name):
                if not has_recipes or name != RECIPE.name:
                    raise Refused(ErrorCode.NOT_FOUND, f"there is no recipe {name!r}", field="name", hint="txt2img")
                return re.RecipesReply(recipes=[structs.replace(RECIPE, workflow=codec.pack(WORKFLOW))])
            case ask.ListProfiles():
                return re.ProfilesReply(profiles=[PROFILE] if has_recipes else [])

    def _put(self, request: ask.PutBlob) -> re.BlobStored:
        """Take the bytes that come next; whole files must be what they should be."""
        there = self.blobs.setdefault(request.sha256, b"")
        if request.offset == len(there):
            there = self.blobs[request.sha256] = there + request.data
        is_whole = len(there) == request.total
        if is_whole and hashlib.sha256(there).hexdigest() != request.sha256:
            del self.blobs[request.sha256]
            raise Refused(ErrorCode.BAD_REQUEST, "sha256: other bytes came", field="sha256")
        return re.BlobStored(sha256=request.sha256, received=len(there), complete=is_whole)

    def _outputs(self, request: ask.ListOutputs | ask.CleanOutputs) -> re.AnyReply:
        """All jobs with files; a clean takes one job at a time, whatever its age."""
        sizes: dict[str, list[int]] = {}
        for artifact, _, owner in self.files.values():
            sizes.setdefault(owner, []).append(artifact.bytes)
        if isinstance(request, ask.CleanOutputs):
            first = [next(iter(sizes))] if sizes else []
            taken = [size for job_id in (sizes if request.dry_run else first) for size in sizes[job_id]]
            if not request.dry_run:
                self.files = {number: file for number, file in self.files.items() if file[2] not in first}
            jobs = len(sizes) if request.dry_run else len(first)
            more = len(sizes) > 1 and not request.dry_run
            return re.OutputsCleaned(
                jobs=jobs, artifacts=len(taken), bytes=sum(taken), more=more, dry_run=request.dry_run
            )
        kept = [
            re.JobOutputs(job_id, "", JobState.SUCCEEDED, f"outputs/{job_id}", len(mine), sum(mine), NOW_MS)
            for job_id, mine in sizes.items()
            if request.job_id in (None, job_id)
        ]
        total = re.OutputTotal("sprites", "plain", "image/png", len(self.files), sum(map(sum, sizes.values())))
        totals = [total] if request.with_totals else None
        return re.OutputsPage(disk=re.DiskSpace(1000, 400), totals=totals, **_page("jobs", kept, request.cursor))

    def _submit(self, request: ask.Submit, body: bytes) -> re.Submitted:
        reply = re.Submitted(job_id=request.job_id, items=len(request.items), model="plain", dry_run=request.dry_run)
        print_ = codec.fingerprint(body)
        if self.submits.get(request.job_id, print_) != print_:
            raise Refused(ErrorCode.CONFLICT, f"job {request.job_id} is another one", field="job_id")
        if request.dry_run or request.job_id in self.submits:
            return reply
        self.submits[request.job_id] = print_
        self.add_job(
            request.job_id,
            len(request.items),
            name=request.name,
            priority=request.priority,
            is_open=request.more,
            recipe=request.recipe,
        )
        return reply

    def _change_job(self, request: ask.Append | ask.Seal | ask.Move) -> re.AnyReply:
        job = self._job(request.job_id)
        match request:
            case ask.Append(job_id=job_id, at=at):
                if at == job.items.total:
                    added = [Item(at + i, ItemState.PENDING, attempts=0) for i in range(len(request.items))]
                    self.items[job_id] += added
                    job = structs.replace(job, items=ItemCounts(total=at + len(added), pending=at + len(added)))
                    self._tell_job(JobAppended(job=job, at=at, count=len(added)))
                return re.Appended(job_id=job_id, total=job.items.total)
            case ask.Seal(job_id=job_id):
                self._tell_job(JobSealed(job=structs.replace(job, is_open=False)))
                return re.Sealed(job_id=job_id, total=job.items.total)
            case ask.Move(job_id=job_id):
                job = structs.replace(job, priority=request.priority or job.priority, rev=job.rev + 1)
                self._tell_job(JobMoved(job=job, author="local"))
                return re.Moved(job_id=job_id, priority=job.priority, rev=job.rev)

    def _tell_job(self, event: JobEvent) -> None:
        """A job is now as the event says."""
        self.jobs[event.job.job_id] = event.job
        self.commit(topic_of_job(event.job.job_id), event)

    def _cancel(self, request: ask.Cancel) -> re.Cancelled:
        if (request.job_ids is None) == (request.scope is None):
            raise Refused(ErrorCode.BAD_REQUEST, "name either job_ids or a scope", field="job_ids")
        done: list[re.CancelledJob] = []
        for job_id in request.job_ids or [job.job_id for job in self.jobs.values() if not job.state.is_final]:
            job = self._job(job_id)
            dropped = job.items.pending
            if not job.state.is_final:
                job = self._move(job_id, ItemState.CANCELLED, JobState.CANCELLED)
                event = JobCancelled(job=job, author="local", dropped=dropped, stopping=0)
                self.commit(topic_of_job(job_id), event)
            done.append(re.CancelledJob(job_id, job.state, dropped, 0))
        return re.Cancelled(jobs=done)

    def _retry(self, request: ask.Retry) -> re.Retried:
        job = self._job(request.job_id)
        if request.rev != job.rev:
            raise Refused(ErrorCode.CONFLICT, f"the job is at revision {job.rev}", field="rev")
        requeued = sum(item.state in request.states for item in self.items[job.job_id])
        job = structs.replace(self._move(job.job_id, ItemState.PENDING, JobState.QUEUED), rev=job.rev + 1)
        self._tell_job(JobRetried(job=job, author="local", requeued=requeued))
        return re.Retried(job_id=job.job_id, requeued=requeued, rev=job.rev)

    def _pause(self, request: ask.PauseWork) -> re.Paused:
        paused = Pause(request.reason, "local", NOW_MS)
        if request.job_id is None:
            self.paused = paused
            self.commit(QUEUE_TOPIC, QueuePaused(paused=paused))
        else:
            self._tell_job(JobPaused(job=structs.replace(self._job(request.job_id), paused=paused)))
        return re.Paused(paused=paused, job_id=request.job_id)

    def _resume(self, request: ask.ResumeWork) -> re.Resumed:
        if request.job_id is None:
            was_paused, self.paused = self.paused is not None, None
            self.commit(QUEUE_TOPIC, QueueResumed(author="local"))
        else:
            job = self._job(request.job_id)
            was_paused = job.paused is not None
            self._tell_job(JobResumed(job=structs.replace(job, paused=None), author="local"))
        return re.Resumed(was_paused=was_paused, job_id=request.job_id)

    def _read(self, request: ask.ReadArtifact) -> re.ArtifactBytes:
        if request.artifact_id not in self.files:
            raise Refused(ErrorCode.NOT_FOUND, f"there is no artifact {request.artifact_id}", field="artifact_id")
        artifact, data, _ = self.files[request.artifact_id]
        chunk = data[request.offset : request.offset + request.length]
        return re.ArtifactBytes(
            artifact_id=request.artifact_id,
            offset=request.offset,
            data=chunk,
            total=len(data),
            sha256=artifact.sha256,
        )

    def _move(self, job_id: str, item_state: ItemState, job_state: JobState) -> Job:
        job = self._job(job_id)
        self.items[job_id] = [structs.replace(item, state=item_state, attempts=1) for item in self.items[job_id]]
        counts = ItemCounts(**{"total": job.items.total, item_state.value: job.items.total})
        finished_at_ms = NOW_MS if job_state.is_final else None
        self.jobs[job_id] = structs.replace(job, state=job_state, items=counts, finished_at_ms=finished_at_ms)
        return self.jobs[job_id]

    def _job(self, job_id: str) -> Job:
        if job_id not in self.jobs:
            raise Refused(ErrorCode.NOT_FOUND, f"there is no job {job_id}", field="job_id", hint="stoker status")
        return self.jobs[job_id]

    def _daemon(self) -> Daemon:
        return Daemon("0", self.instance_id, f"boot-{self.boots}", NOW_MS, 1)


def _page(name: str, entries: list[Any], cursor: str) -> dict[str, Any]:
    begin = int(cursor or 0)
    end = begin + PAGE
    return {name: entries[begin:end], "cursor": str(end) if end < len(entries) else ""}


def _stats(job_id: str | None) -> re.Stats:
    """What a daemon says that has done nothing yet."""
    return re.Stats(
        job_id=job_id,
        since_ms=NOW_MS,
        until_ms=NOW_MS,
        attempts=0,
        runs=0,
        outcomes={},
        failures={},
        items_per_s=0.0,
        busy=0.0,
        wait_s=None,
        run_s=None,
        bound=1,
        is_cut=False,
    )
