"""What the daemon answers: one struct for each kind of reply."""

from typing import Any

from msgspec import Raw, Struct, field

from stoker_protocol.changes import ConfigChange
from stoker_protocol.errors import ErrorCode
from stoker_protocol.gpus import History, Holding, Sample
from stoker_protocol.jobs import (
    Artifact,
    Daemon,
    Engine,
    Eta,
    Item,
    Job,
    JobState,
    Lane,
    ModelFacts,
    Pause,
    Priority,
    Profile,
    Queue,
    Recipe,
)
from stoker_protocol.plans import Calibration, Delay, Grouping, PlannedJob, Wave


class Reply(Struct, frozen=True, tag_field="re", kw_only=True):
    """What all replies carry: the `id` of the request that they answer."""

    v: int = field(default_factory=lambda: 1)  # no plain defaults, which an error reply would leave out of its map
    id: str = field(default_factory=str)


class ErrorReply(Reply, frozen=True, tag="error", kw_only=True, omit_defaults=True):
    """The request was refused and nothing was done; `field` names the culprit, `hint` what to do instead."""

    code: ErrorCode
    message: str
    retryable: bool
    field: str = ""
    hint: str = ""
    retry_after_s: float | None = None


class Welcome(Reply, frozen=True, tag="welcome", kw_only=True):
    """Answers `hello`. `events` are the endpoints of the events socket as bound: a client keeps the host it dialled.

    `name` and `role` are the caller's. `limits` are in bytes and counts.
    """

    daemon: Daemon
    versions: list[int]
    features: list[str]
    limits: dict[str, int]
    events: list[str]
    name: str
    role: str
    server_time_ms: int


class Pong(Reply, frozen=True, tag="pong", kw_only=True):
    """Answers `ping`."""

    server_time_ms: int


class Finding(Struct, frozen=True):
    """One part that a job needs: `ok`, or in its `detail` why not. `advice`: what to do, also where all goes well."""

    part: str
    ok: bool
    detail: str = ""
    advice: str = ""


class HealthReport(Reply, frozen=True, tag="health", kw_only=True):
    """Answers `health`. `ready`: a job can make progress."""

    ready: bool
    findings: list[Finding]


class Checked(Reply, frozen=True, tag="checked", kw_only=True):
    """Answers `check`; what is not `ok` says what to do."""

    findings: list[Finding]


class Submitted(Reply, frozen=True, tag="submitted", kw_only=True):
    """Answers `submit`: the job is on disk, or with `dry_run` would be accepted so."""

    job_id: str
    items: int
    model: str
    dry_run: bool = False


class Appended(Reply, frozen=True, tag="appended", kw_only=True):
    """Answers `append`: the items are on disk, and the job has `total` now."""

    job_id: str
    total: int


class Sealed(Reply, frozen=True, tag="sealed", kw_only=True):
    """Answers `seal`."""

    job_id: str
    total: int


class JobReply(Reply, frozen=True, tag="job", kw_only=True):
    """Answers `job`; the state is that of `seq`."""

    job: Job
    seq: int


class JobsPage(Reply, frozen=True, tag="jobs", kw_only=True):
    """Answers `jobs`; an empty `cursor` means that this was the last page."""

    jobs: list[Job]
    cursor: str = ""


class ItemsPage(Reply, frozen=True, tag="items", kw_only=True):
    """Answers `items`; an empty `cursor` means that this was the last page."""

    items: list[Item]
    cursor: str = ""


class CancelledJob(Struct, frozen=True):
    """What a cancel did to one job: items dropped at once, and running ones that were asked to stop.

    `closed`: it was open, and takes no more items now.
    """

    job_id: str
    state: JobState
    dropped: int
    stopping: int
    closed: bool = False


class Cancelled(Reply, frozen=True, tag="cancelled", kw_only=True):
    """Answers `cancel`."""

    jobs: list[CancelledJob]


class Retried(Reply, frozen=True, tag="retried", kw_only=True):
    """Answers `retry`; `rev` is the job's new revision."""

    job_id: str
    requeued: int
    rev: int


class Moved(Reply, frozen=True, tag="moved", kw_only=True):
    """Answers `move`; `rev` is the job's new revision."""

    job_id: str
    priority: Priority
    rev: int


class Paused(Reply, frozen=True, tag="paused", kw_only=True):
    """Answers `pause`: the pause in force, which may be an earlier one; `releasing`: the lanes that free the GPU."""

    paused: Pause
    job_id: str | None = None
    releasing: list[str] = []


class Resumed(Reply, frozen=True, tag="resumed", kw_only=True):
    """Answers `resume`; `was_paused` tells whether there was anything to resume."""

    was_paused: bool
    job_id: str | None = None


class SnapshotPage(Reply, frozen=True, tag="snapshot", kw_only=True):
    """Answers `snapshot`: the state of `seq`; an empty `cursor` means that this was the last page of jobs."""

    seq: int
    daemon: Daemon
    queue: Queue
    lanes: list[Lane]
    jobs: list[Job]
    cursor: str = ""


class PublishedEvent(Struct, frozen=True):
    """An event as it was published: its topic, and its body undecoded."""

    topic: str
    body: Raw


class EventsPage(Reply, frozen=True, tag="events", kw_only=True):
    """Answers `events_since` with events as they were published, oldest first.

    `through` is the seq up to which the answer is complete, `head` the last committed one. `gap`: events after the
    asked seq are gone for good; take a snapshot instead.
    """

    events: list[PublishedEvent]
    through: int
    head: int
    instance_id: str
    gap: bool = False


class ArtifactsPage(Reply, frozen=True, tag="artifacts", kw_only=True):
    """Answers `artifacts`; an empty `cursor` means that this was the last page."""

    artifacts: list[Artifact]
    cursor: str = ""


class ArtifactBytes(Reply, frozen=True, tag="artifact_bytes", kw_only=True):
    """Answers `read_artifact`; `total` and `sha256` are those of the whole file."""

    artifact_id: int
    offset: int
    data: bytes
    total: int
    sha256: str


class JobOutputs(Struct, frozen=True):
    """The files of one job: their folder, relative to the daemon's data directory, how many and how many bytes."""

    job_id: str
    name: str
    state: JobState
    folder: str
    artifacts: int
    bytes: int
    created_at_ms: int


class OutputTotal(Struct, frozen=True):
    """All files of one kind."""

    engine: str
    model: str
    media_type: str
    artifacts: int
    bytes: int


class DiskSpace(Struct, frozen=True):
    """The disk that the outputs are on, in bytes."""

    total: int
    free: int


class OutputsPage(Reply, frozen=True, tag="outputs", kw_only=True):
    """Answers `outputs`; an empty `cursor` means that this was the last page.

    `totals` are there if they were asked for, those of the most bytes first.
    """

    jobs: list[JobOutputs]
    disk: DiskSpace
    totals: list[OutputTotal] | None = None
    cursor: str = ""


class OutputsCleaned(Reply, frozen=True, tag="outputs_cleaned", kw_only=True):
    """Answers `clean_outputs`: what was removed, or with `dry_run` would be. `more`: ask again for the rest."""

    jobs: int
    artifacts: int
    bytes: int
    more: bool = False
    dry_run: bool = False


class EnginesReply(Reply, frozen=True, tag="engines", kw_only=True):
    """Answers `engines`."""

    engines: list[Engine]


class EngineModels(Struct, frozen=True):
    """The models of one engine."""

    engine: str
    models: list[ModelFacts]


class ModelsReply(Reply, frozen=True, tag="models", kw_only=True):
    """Answers `models`."""

    engines: list[EngineModels]


class RecipesReply(Reply, frozen=True, tag="recipes", kw_only=True):
    """Answers `recipes`."""

    recipes: list[Recipe]


class ProfilesReply(Reply, frozen=True, tag="profiles", kw_only=True):
    """Answers `profiles`."""

    profiles: list[Profile]


class BlobStored(Reply, frozen=True, tag="blob_stored", kw_only=True):
    """Answers `put_blob`: so many of the first bytes are there; `complete`: all, and they are what they should be."""

    sha256: str
    received: int
    complete: bool


class Percentiles(Struct, frozen=True):
    """How seconds are spread: half are at most p50, nine in ten at most p90; `count` were looked at."""

    count: int
    p50: float
    p90: float
    p99: float


class Stats(Reply, frozen=True, tag="stats", kw_only=True):
    """Answers `stats`: attempts that ended from `since_ms` until `until_ms`, of one job or of all.

    `outcomes` by the state that attempts left their items in (`pending`: to be tried again), `failures` by kind.
    `wait_s`: from an item's coming to its first claim; `run_s`: from the claim of a run to its recorded end.
    `rates`: which shares of the outcomes other than `pending` are `succeeded`, `rejected` and `failed`; empty if there
    are none. `items_per_s`: how many of these there were a second. `busy`: the part of the time, over all lanes, that
    runs were at work.
    `loads` of models took `load_s` seconds; both are of the whole daemon, and none where one job is asked for.
    `etas`: how the times told of jobs turned out, ever since.
    Only the newest `bound` attempts are looked at; `is_cut`: there were more, and the time begins with the oldest.
    """

    since_ms: int
    until_ms: int
    attempts: int
    runs: int
    outcomes: dict[str, int]
    failures: dict[str, int]
    items_per_s: float
    busy: float
    wait_s: Percentiles | None
    run_s: Percentiles | None
    bound: int
    is_cut: bool
    loads: int | None = None
    load_s: float | None = None
    job_id: str | None = None
    etas: Calibration | None = None
    rates: dict[str, float] = {}


class GpuReport(Reply, frozen=True, tag="gpu", kw_only=True):
    """Answers `gpu`. `sample`: the last look, None before the first; one comes each `every_s` seconds.

    `executor`: which of its `gpus` is the executor's, None: none; `holdings` are who holds memory of that one, what is
    known best first. `checks` are what must be well before work begins.
    """

    sample: Sample | None
    every_s: float
    history: list[History]
    executor: int | None
    holdings: list[Holding]
    checks: list[Finding]


class Plan(Reply, frozen=True, tag="plan", kw_only=True):
    """Answers `plan`: the waves to come, and when each waiting job begins and is done; seconds count from `at_ms`.

    `fifo_s`: what the same work takes in its order of arrival; `single_s`: in these waves, but one item at a time.
    `is_whole`: nothing waits beyond it. `execute_plan` takes the `token` as long as nothing of this has changed.
    """

    token: str
    at_ms: int
    waves: list[Wave]
    jobs: list[PlannedJob]
    done_s: Eta
    fifo_s: float
    single_s: float
    is_whole: bool
    is_paused: bool
    grouping: Grouping = "mixed"


class Why(Reply, frozen=True, tag="why", kw_only=True):
    """Answers `why`: one sentence, its reason as a word, when the job should start, in seconds from `at_ms`.

    `latest_ms`: it starts by then, unless urgent work comes or somebody holds it back.
    """

    job_id: str
    at_ms: int
    delay: Delay
    text: str
    start_s: Eta | None = None
    latest_ms: int | None = None


class PlanBegun(Reply, frozen=True, tag="plan_begun", kw_only=True):
    """Answers `execute_plan`: so many runs over so many items go on as planned."""

    runs: int
    items: int


class Description(Reply, frozen=True, tag="description", kw_only=True):
    """Answers `describe`: JSON Schemas by name in `requests`, `replies` and `events`, sharing `definitions`."""

    requests: dict[str, Any]
    replies: dict[str, Any]
    events: dict[str, Any]
    definitions: dict[str, Any]


class Reloaded(Reply, frozen=True, tag="reloaded", kw_only=True):
    """Answers `reload`: what is different from what the daemon had."""

    changes: list[ConfigChange]


class ShuttingDown(Reply, frozen=True, tag="shutting_down", kw_only=True):
    """Answers `shutdown`."""

    boot: str


AnyReply = (
    ErrorReply
    | Welcome
    | Pong
    | HealthReport
    | Checked
    | Submitted
    | Appended
    | Sealed
    | JobReply
    | JobsPage
    | ItemsPage
    | Cancelled
    | Retried
    | Moved
    | Paused
    | Resumed
    | SnapshotPage
    | EventsPage
    | ArtifactsPage
    | ArtifactBytes
    | OutputsPage
    | OutputsCleaned
    | EnginesReply
    | ModelsReply
    | RecipesReply
    | ProfilesReply
    | BlobStored
    | Stats
    | GpuReport
    | Plan
    | Why
    | PlanBegun
    | Description
    | Reloaded
    | ShuttingDown
)
