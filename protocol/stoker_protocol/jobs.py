"""What a job, an item, a run and an artifact are, as every client sees them."""

from enum import StrEnum
from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

MAX_ITEMS = 10_000
"""Items in one request."""
MAX_SEED = 2**63 - 1

# `(?![\s\S])` is "end of text" in Python and in ECMAScript alike; `$` would let a trailing newline through.
JobId = Annotated[str, Meta(max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*(?![\s\S])")]
"""Made by the client; also a folder name, so it has no separators and does not begin with a dot."""
Name = Annotated[str, Meta(max_length=200)]
Reason = Annotated[str, Meta(max_length=500)]
FreeForm = Annotated[Raw, Meta(extra_json_schema={"type": "object"})]
"""A map of what JSON can say too, at most 32 levels deep, that stays undecoded until somebody needs it."""


class Priority(StrEnum):
    """Work of a higher priority is chosen first."""

    URGENT = "urgent"
    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"

    @property
    def rank(self) -> int:
        """0 is the most urgent."""
        return _RANKS[self]


_RANKS = {priority: rank for rank, priority in enumerate(Priority)}


class JobState(StrEnum):
    """Where a job is; derived from its items and stored with them."""

    WAITING = "waiting"
    QUEUED = "queued"
    RUNNING = "running"
    CANCELLING = "cancelling"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Nothing will change any more, unless somebody retries the job."""
        return self in FINAL_JOB_STATES


FINAL_JOB_STATES = frozenset({JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED})


class ItemState(StrEnum):
    """Where an item is."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    REJECTED = "rejected"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"


FINAL_ITEM_STATES = frozenset(ItemState) - {ItemState.PENDING, ItemState.RUNNING}


class OnInterrupt(StrEnum):
    """What happens to an item whose run was cut short by a death of the daemon or its host."""

    REQUEUE = "requeue"
    FAIL = "fail"
    ASK = "ask"


Level = Literal["exact", "close", "series"]
"""How equal an item that shared a run is to what it becomes alone: the same; the same but for rounding; of a series of
images of one seed, one of those that the seed and its place make."""


class Failure(Struct, frozen=True):
    """Why an item, or a job by its first failed item, did not succeed."""

    kind: str
    message: str


class Pause(Struct, frozen=True):
    """Who holds work back, since when (milliseconds since the epoch), and why."""

    reason: str
    author: str
    at_ms: int


class ItemCounts(Struct, frozen=True):
    """How many items of a job are in which state."""

    total: int = 0
    pending: int = 0
    running: int = 0
    succeeded: int = 0
    failed: int = 0
    rejected: int = 0
    cancelled: int = 0
    skipped: int = 0

    @property
    def finished(self) -> int:
        """Items with a recorded outcome."""
        return self.total - self.pending - self.running


class Job(Struct, frozen=True):
    """One job as it is now. Times are milliseconds since the epoch; `rev` counts what people did to it.

    `is_open`: more items may come. `recipe`: what it is made by, where its engine has recipes. `max_concurrency`: so
    many of its items may be at work at once (0: as many as there may be).
    """

    job_id: str
    name: str
    state: JobState
    priority: Priority
    engine: str
    model: str
    client: str
    items: ItemCounts
    created_at_ms: int
    rev: int = 0
    is_open: bool = False
    paused: Pause | None = None
    started_at_ms: int | None = None
    finished_at_ms: int | None = None
    error: Failure | None = None
    metadata: FreeForm | UnsetType = UNSET
    recipe: str = ""
    max_concurrency: int = 0


class Artifact(Struct, frozen=True):
    """One output file. `path` is relative to the daemon's data directory, with forward slashes; `bytes` is its size."""

    artifact_id: int
    index: int
    output: int
    path: str
    media_type: str
    sha256: str
    bytes: int


class Item(Struct, frozen=True):
    """One item as it is now."""

    index: int
    state: ItemState
    attempts: int
    custom_id: str | None = None
    error: Failure | None = None
    not_before_ms: int | None = None
    artifacts: list[Artifact] = []
    params: FreeForm | UnsetType = UNSET


class Outcome(Struct, frozen=True):
    """What one run did to one item of a job; `pending` means that the item will be tried again."""

    index: int
    state: ItemState
    attempt: int
    error: Failure | None = None


class Run(Struct, frozen=True):
    """One engine call over a batch of items; `indexes` are those of the job that the message speaks of, in order."""

    run_id: str
    lane: str
    engine: str
    model: str
    batch_size: int
    indexes: list[int]


class Eta(Struct, frozen=True):
    """When a job ends, in seconds from now: as likely before as after p50; nine times in ten before p90."""

    p50: float
    p90: float


class Progress(Struct, frozen=True):
    """How far a job is; one shape for every engine, and `percent` (0 to 100) never goes backwards within an attempt."""

    phase: str
    step: int
    steps: int
    items: ItemCounts
    percent: float
    items_per_s: float | None = None
    eta_s: Eta | None = None


class Parameter(Struct, frozen=True, omit_defaults=True):
    """One parameter that the items of an engine take; what forms, completions and checks are made from."""

    name: str
    type: Literal["integer", "number", "string", "boolean"]
    default: Any = None
    minimum: int | float | None = None
    maximum: int | float | None = None
    choices: list[Any] | None = None
    required: bool = False
    help: str = ""


class ModelFacts(Struct, frozen=True):
    """A model that an engine can load; `models` of one family count as different models.

    `kind` tells what it is good for: `checkpoint` (what a job may name as its model), `lora`, `vae` ...
    """

    name: str
    summary: str = ""
    kind: str = "checkpoint"


class Recipe(Struct, frozen=True):
    """A way to make something, with the parameters that it takes; `workflow` is the graph behind it, if asked for."""

    name: str
    engine: str
    summary: str
    parameters: list[Parameter]
    workflow: FreeForm | UnsetType = UNSET


class Profile(Struct, frozen=True):
    """A named set of defaults. `batch_size` bounds how many items share one run, as in a submit."""

    name: str
    summary: str
    batch_size: int
    params: FreeForm


class Device(Struct, frozen=True):
    """What a server computes on; memory in bytes."""

    name: str
    kind: str
    memory_total: int
    memory_free: int


class Server(Struct, frozen=True):
    """What the server behind an engine last said. `ours` and `others` are the prompts in its queue.

    `caching` says what it keeps from one prompt to the next; `levels` are those at which items can share a prompt;
    `last_error` is the last one of any prompt of ours.
    """

    url: str
    version: str
    devices: list[Device] = []
    ours: int = 0
    others: int = 0
    caching: str = ""
    node_packs: list[str] = []
    levels: list[Level] = []
    last_error: str = ""


class Engine(Struct, frozen=True):
    """What an engine can do and how it is. `state` is `starting`, `ready` or `down`; `detail` says why."""

    name: str
    kind: str
    state: str
    lane: str
    default_model: str
    models: list[ModelFacts]
    parameters: list[Parameter]
    max_batch: int
    detail: str = ""
    server: Server | None = None


class Lane(Struct, frozen=True):
    """What a lane holds and does: the model of its last run or on its way, the run at work, the seconds since it moved.

    `held_up` says why it can't go on now: what it has made can't be stored and is kept, something that must be well
    before work begins is not, or a model has no room. It goes on by itself. `reason` says why its last run was chosen.
    `is_loaded`: its engine tells that it holds that model; servers elsewhere and programs tell nothing.
    """

    name: str
    state: Literal["idle", "loading", "running", "stopped"]
    engine: str = ""
    model: str = ""
    run_id: str = ""
    loads: int = 0
    last_progress_s: float | None = None
    held_up: str = ""
    reason: str = ""
    is_loaded: bool = False


class Queue(Struct, frozen=True):
    """All that waits and runs, in items and jobs, and the pause that holds everything back, if any."""

    pending: int
    running: int
    active_jobs: int
    paused: Pause | None = None


class Daemon(Struct, frozen=True):
    """Who answers. `instance_id` is the database's, for its life; `boot` is new at each start."""

    version: str
    instance_id: str
    boot: str
    started_at_ms: int
    pid: int
