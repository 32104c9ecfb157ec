"""What the rooms of the daemon hand to each other: signatures, queue heads, claimed runs and their results."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from msgspec import Raw

from stoker_protocol.errors import FailureKind
from stoker_protocol.jobs import Artifact, Failure, Item, ItemState, Job, Priority

WITH = " with "
"""Before what a merge signature says of active inputs."""


@dataclass(frozen=True, slots=True)
class Signature:
    """Why items belong together: those of one residency need the same models, those of one merge may share a run."""

    engine: str
    residency: str
    merge: str = ""

    @property
    def controls(self) -> list[str]:
        """Which optional inputs are active, as far as the engine says: `["lora", "mask"]`."""
        _, _, active = self.merge.partition(WITH)
        return active.split("+") if active else []


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a job belongs: the model that it means, why its items belong together, and by which recipe they are made.

    `template` is what the recipe, or the client's own workflow, says at that moment, in the engine's own form: the job
    keeps it, whatever becomes of the recipe. `batch_size` is the profile's, 0 without one.
    """

    model: str
    signature: Signature
    recipe: str = ""
    template: bytes = b""
    batch_size: int = 0


@dataclass(frozen=True, slots=True)
class Head:
    """All ready items of one signature and priority, as the store keeps them, and of one client where they take turns.

    How many there are, the place of the first job, and when that came, in wall-clock milliseconds.
    """

    signature_id: int
    signature: Signature
    priority: Priority
    ready: int
    oldest: int
    came_ms: int = 0
    client: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """So many items of one job for a run; of those after the item `after`, in the job's order."""

    job_id: str
    items: int
    after: int = -1


@dataclass(frozen=True, slots=True)
class Choice:
    """What the policy wants to run: so many items at most of each head, in this order, all of one signature.

    `one_job`: only items of the job that is first share the run. `strict`: only those that differ from the first in
    nothing but the seed. `parts`: exactly these, as far as they are ready.
    """

    takes: tuple[tuple[Head, int], ...]
    one_job: bool = False
    strict: bool = False
    parts: tuple[Part, ...] = ()


@dataclass(frozen=True, slots=True)
class WaitingLot:
    """What one job has ready, how many of its items may share a run (0: it does not say), and since when it waits.

    `at_once`: so many of its items may be at work at a time (0: as many as there may be).
    `client` is whose it is where clients take turns, else "". `likeness` is the same for items that differ in nothing
    but the seed: a job has several lots in a row where that was asked for.
    """

    job_id: str
    signature_id: int
    signature: Signature
    priority: Priority
    items: int
    batch_size: int
    came_ms: int
    at_once: int = 0
    client: str = ""
    likeness: str = ""


@dataclass(frozen=True, slots=True)
class WaitingLots:
    """The lots of the queue, each head's in order; `is_whole`: there are no more."""

    lots: tuple[WaitingLot, ...]
    is_whole: bool


@dataclass(frozen=True, slots=True)
class Arrival:
    """So many items of one signature are in the queue now that were not."""

    signature_id: int
    signature: Signature
    items: int


@dataclass(frozen=True, slots=True)
class Member:
    """One item's part in a run; `created_ms` and `job_key` (the store's own number) are its job's.

    `attempt` counts from 1, up to `max_attempts`; `params` are the job's parameters with the item's own laid over them;
    `template` is that of the job's placement.
    """

    position: int
    job_key: int
    job_id: str
    index: int
    custom_id: str | None
    attempt: int
    crashes: int
    created_ms: int
    params: dict[str, Any]
    template: bytes = b""
    max_attempts: int = 1


@dataclass(frozen=True, slots=True)
class Limits:
    """What bounds a run: seconds for each of its items, and without a sign of life; the strictest of its jobs'."""

    timeout_s: float
    no_progress_s: float


@dataclass(frozen=True, slots=True)
class Run:
    """A claimed run: its row is committed, its engine not yet called.

    All members are of one signature; `jobs` are those that take part, as they are with the claim. One that `may_wait`
    is simply run again if the daemon dies, so that nobody need know whether it had begun.
    """

    run_id: str
    lane: str
    signature: Signature
    priority: Priority
    members: tuple[Member, ...]
    limits: Limits
    jobs: tuple[Job, ...]
    may_wait: bool = False


@dataclass(frozen=True, slots=True)
class OpenJob:
    """What further items of a job are checked against."""

    engine: str
    params: Raw
    placement: Placement


@dataclass(frozen=True, slots=True)
class Resident:
    """A model on the GPU, how many bytes it holds there, and the process, as far as the engine knows them.

    "" stands for what the engine holds beside the models that it can name.
    """

    residency: str
    bytes: int | None = None
    pid: int | None = None


@dataclass(frozen=True, slots=True)
class Output:
    """What an engine made for the member at `position`; `record` is what the model says about it.

    The member is done with it unless `more` outputs of the same member follow. `verbatim`: the file stays as it is to
    the last byte, and its record only lies beside it; but if it is a PNG that has a text under one of the keywords of
    `texts`, that text is replaced: it spoke of all items of a run.
    """

    position: int
    data: bytes
    media_type: str
    suffix: str
    record: dict[str, Any]
    more: bool = False
    verbatim: bool = False
    texts: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class SavedArtifact:
    """A file that is on disk for good but not yet in the database. `path` is relative to the data directory."""

    output: int
    path: str
    media_type: str
    sha256: str
    bytes: int


Verdict = Literal[ItemState.REJECTED, ItemState.SKIPPED]
"""How an item may end that neither succeeded nor failed."""


@dataclass(frozen=True, slots=True)
class Result:
    """What becomes of one member: its new state (`pending`: once more, not before `delay_s` from now).

    `charged` attempts count against the item; `crashed` says that its own single run killed its engine.
    """

    position: int
    state: ItemState
    error: Failure | None = None
    delay_s: float = 0.0
    alone: bool = False
    charged: bool = True
    crashed: bool = False
    artifacts: tuple[SavedArtifact, ...] = ()


@dataclass(frozen=True, slots=True)
class Recorded:
    """What recording runs brought: jobs that became final with it, and the next runs if any were asked for."""

    finished_jobs: tuple[str, ...] = ()
    next_runs: tuple[Run, ...] = ()


@dataclass(frozen=True, slots=True)
class Interrupted:
    """A run that was cut short, by the end of an earlier daemon or because its engine could not be reached any more.

    Its members are without parameters; `known_paths` are the files that the database has of them.
    """

    run_id: str
    lane: str
    engine: str
    members: tuple[Member, ...]
    known_paths: frozenset[str]


class Reads(NamedTuple):
    """How many model files an engine read within a run, how long that took, and whether heavy ones were among them."""

    files: int
    seconds: float
    heavy: bool = True


@dataclass(frozen=True, slots=True)
class CommittedEvent:
    """A lifecycle event as it is on disk: the encoded body is what goes out."""

    seq: int
    topic: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Stop:
    """A run at work is to be stopped, for all of its items or those of one job: `cancel`, `pause`."""

    run_id: str
    lane: str
    reason: str
    job_id: str | None = None


@dataclass(frozen=True, slots=True)
class Commit:
    """What a commit tells the rooms that wait for it: events in their order, and runs that are to stop.

    `has_work`: items may be ready that were not before. `has_ended`: a job with files became final. `arrivals`: what
    was submitted and appended. `sync_s`: how long it took to make it durable.
    """

    events: tuple[CommittedEvent, ...] = ()
    stops: tuple[Stop, ...] = ()
    arrivals: tuple[Arrival, ...] = ()
    has_work: bool = False
    has_ended: bool = False
    sync_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Files:
    """So many artifacts with so many bytes."""

    artifacts: int = 0
    bytes: int = 0

    def __add__(self, other: "Files") -> "Files":
        return Files(self.artifacts + other.artifacts, self.bytes + other.bytes)


@dataclass(frozen=True, slots=True)
class KeptFiles:
    """A job and what its artifacts amount to."""

    job: Job
    files: Files


@dataclass(frozen=True, slots=True)
class JobFolder:
    """A final job as its folder tells of it: the parameters that its items share, and what its files amount to.

    `items` are in order, with their parameters and artifacts; of a very large job they are the first ones.
    """

    job: Job
    params: Raw
    items: tuple[Item, ...]
    files: Files

    @property
    def artifacts(self) -> list[Artifact]:
        """The artifacts of these items, in order."""
        return [artifact for item in self.items for artifact in item.artifacts]


@dataclass(frozen=True, slots=True)
class Leaving:
    """A job whose files are being removed, by its id, its time of creation and the store's own number."""

    job_id: str
    created_ms: int
    job_key: int


class EngineFailure(Exception):
    """An engine could not do what it was asked to.

    `died`: its process ended with it. `unavailable`: it could not even be started or reached, which no item is to
    blame for; and if it is `adrift`, it may be at the run all the same.
    """

    def __init__(
        self,
        kind: FailureKind,
        message: str,
        *,
        died: bool = False,
        unavailable: bool = False,
        adrift: bool = False,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.died = died
        self.unavailable = unavailable
        self.adrift = adrift
