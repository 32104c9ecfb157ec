"""The state of a server that has one job: its events, its file, and its answer to each request."""

import hashlib
from typing import Any, cast

import msgspec

from stoker_protocol import codec
from stoker_protocol import replies as re
from stoker_protocol import requests as ask
from stoker_protocol.errors import CODES, ErrorCode, Refused
from stoker_protocol.events import AnyEvent, JobSubmitted, RunFinished, RunStarted, topic_of_job
from stoker_protocol.jobs import (
    Artifact,
    Daemon,
    Engine,
    Item,
    ItemCounts,
    ItemState,
    Job,
    JobState,
    Lane,
    ModelFacts,
    Outcome,
    Parameter,
    Queue,
    Run,
)
from stoker_protocol.schema import describe

MORE = {"from_the_future": {"a": [1, None]}}
"""Is in each message: a client ignores what it does not know."""
FILE = b"A file that takes more than one read. " * 40_000
SPRITES = Engine(
    "sprites",
    "python",
    "ready",
    "gpu",
    "plain",
    [ModelFacts("plain")],
    [Parameter("prompt", "string", required=True)],
    8,
)


class Stage:
    """What the server knows; changes become numbered events in `log`, as (topic, body)."""

    def __init__(self) -> None:
        self.instance_id = "conformance"
        self.boot = "boot-1"
        self.event_endpoints: list[str] = []
        self.job: Job | None = None
        self.log: list[tuple[str, bytes]] = []
        self.read_through = 0
        """How much of the file was read."""
        self._asked_for = b""

    def answer(self, request: ask.AnyRequest, body: bytes) -> bytes:
        """The reply as bytes; what is not needed for one job is refused."""
        try:
            reply = self._reply(request, body)
        except Refused as refused:
            reply = refusal(refused)
        return _with_more(msgspec.structs.replace(reply, id=request.id))

    def commit(self, topic: str, event: AnyEvent, kind: str = "") -> None:
        """Number an event; `kind` is said instead of its own."""
        before = [seq for seq, (other, _) in enumerate(self.log, start=1) if other.startswith(topic)]
        numbered = msgspec.structs.replace(event, seq=len(self.log) + 1, prev=max(before, default=0))
        self.log.append((topic + (kind or str(event.__struct_config__.tag)), _with_more(numbered, kind)))

    def start_run(self) -> None:
        """The items of the job run."""
        job = self._move(ItemState.RUNNING, JobState.RUNNING)
        run = Run("run-1", "gpu", "sprites", "plain", job.items.total, [*range(job.items.total)])
        self.commit(topic_of_job(job.job_id), RunStarted(job=job, run=run))

    def finish_run(self) -> None:
        """The items of the job have succeeded."""
        job = self._move(ItemState.SUCCEEDED, JobState.SUCCEEDED)
        outcomes = [Outcome(index, ItemState.SUCCEEDED, 1) for index in range(job.items.total)]
        self.commit(topic_of_job(job.job_id), RunFinished(job=job, run_id="run-1", outcomes=outcomes))

    def head_facts(self) -> dict[str, Any]:
        """What ticks and syncs say."""
        return {"head": len(self.log), "instance_id": self.instance_id, "boot": self.boot}

    def _reply(self, request: ask.AnyRequest, body: bytes) -> re.AnyReply:
        match request:
            case ask.Hello():
                return self._welcome()
            case ask.Ping():
                return re.Pong(server_time_ms=0)
            case ask.Health():
                return re.HealthReport(ready=True, findings=[])
            case ask.Describe():
                return describe()
            case ask.ListEngines():
                return re.EnginesReply(engines=[SPRITES])
            case ask.ListModels():
                return re.ModelsReply(engines=[re.EngineModels("sprites", SPRITES.models)])
            case ask.ListRecipes():
                return re.RecipesReply(recipes=[])
            case ask.ListProfiles():
                return re.ProfilesReply(profiles=[])
            case ask.Submit():
                return self._submit(request, body)
            case _:
                return self._reply_on_job(request)

    def _reply_on_job(self, request: ask.AnyRequest) -> re.AnyReply:
        jobs = [self.job] if self.job is not None else []
        match request:
            case ask.GetSnapshot(job_ids=named, include_final=whole):
                wanted = [job for job in jobs if (job.job_id in named if named else whole or not job.state.is_final)]
                queue, lane = Queue(0, 0, len(jobs)), Lane("gpu", "idle")
                return re.SnapshotPage(seq=len(self.log), daemon=self._daemon(), queue=queue, lanes=[lane], jobs=wanted)
            case ask.ListJobs():
                return re.JobsPage(jobs=jobs)
            case ask.EventsSince(seq=seq, topic=topic):
                missed = [re.PublishedEvent(t, msgspec.Raw(b)) for t, b in self.log[seq:] if t.startswith(topic)]
                head = len(self.log)
                return re.EventsPage(events=missed, through=head, head=head, instance_id=self.instance_id)
            case ask.GetJob(job_id=job_id):
                return re.JobReply(job=self._named(job_id), seq=len(self.log))
            case ask.ListItems(job_id=job_id):
                return re.ItemsPage(items=self._items(self._named(job_id)))
            case ask.ListArtifacts(job_id=job_id):
                job = self._named(job_id)
                return re.ArtifactsPage(artifacts=[_artifact(job)] if job.state.is_final else [])
            case ask.ReadArtifact(artifact_id=1, offset=offset, length=length):
                self.read_through = max(self.read_through, min(offset + length, len(FILE)))
                data = FILE[offset : offset + length]
                sha256 = hashlib.sha256(FILE).hexdigest()
                return re.ArtifactBytes(artifact_id=1, offset=offset, data=data, total=len(FILE), sha256=sha256)
            case _:
                op = str(request.__struct_config__.tag)
                raise Refused(ErrorCode.INVALID_STATE, f"{op} is no part of what is checked here")

    def _submit(self, request: ask.Submit, body: bytes) -> re.Submitted:
        asked_for = codec.fingerprint(body)
        if self.job is not None and asked_for != self._asked_for:
            if self.job.job_id == request.job_id:
                raise Refused(ErrorCode.CONFLICT, f"job {request.job_id} is another one", field="job_id")
            raise Refused(ErrorCode.INVALID_STATE, "one job is all that is checked here")
        if self.job is None and not request.dry_run:
            count = len(request.items)
            items = ItemCounts(total=count, pending=count)
            self._asked_for = asked_for
            self.job = Job(
                request.job_id, request.name, JobState.QUEUED, request.priority, "sprites", "plain", "local", items, 0
            )
            self.commit(topic_of_job(request.job_id), JobSubmitted(job=self.job))
        return re.Submitted(job_id=request.job_id, items=len(request.items), model="plain", dry_run=request.dry_run)

    def _move(self, item_state: ItemState, job_state: JobState) -> Job:
        assert self.job is not None
        counts = ItemCounts(**{"total": self.job.items.total, item_state.value: self.job.items.total})
        self.job = msgspec.structs.replace(self.job, state=job_state, items=counts)
        return self.job

    def _named(self, job_id: str) -> Job:
        if self.job is None or self.job.job_id != job_id:
            raise Refused(ErrorCode.NOT_FOUND, f"there is no job {job_id}", field="job_id")
        return self.job

    def _items(self, job: Job) -> list[Item]:
        state = ItemState.SUCCEEDED if job.state.is_final else ItemState.PENDING
        made = [_artifact(job)] if job.state.is_final else []
        return [Item(index, state, 1, artifacts=made if index == 0 else []) for index in range(job.items.total)]

    def _welcome(self) -> re.Welcome:
        return re.Welcome(
            daemon=self._daemon(),
            versions=[codec.VERSION],
            features=[],
            limits={},
            events=self.event_endpoints,
            name="local",
            role="admin",
            server_time_ms=0,
        )

    def _daemon(self) -> Daemon:
        return Daemon("conformance", self.instance_id, self.boot, 0, 0)


def refusal(refused: Refused) -> re.ErrorReply:
    """The reply that says why."""
    retryable = CODES[refused.code].retryable
    return re.ErrorReply(
        code=refused.code, message=refused.message, retryable=retryable, field=refused.field, hint=refused.hint
    )


def _artifact(job: Job) -> Artifact:
    sha256 = hashlib.sha256(FILE).hexdigest()
    return Artifact(1, 0, 0, f"outputs/{job.job_id}/files/00000_0.txt", "text/plain", sha256, len(FILE))


def _with_more(message: msgspec.Struct, kind: str = "") -> bytes:
    """A message with a field more than this version has, and of another kind if one is said."""
    fields = cast("dict[str, Any]", codec.unpack(codec.encode(message)))
    return bytes(codec.pack({**fields, **MORE, **({"type": kind} if kind else {})}))
