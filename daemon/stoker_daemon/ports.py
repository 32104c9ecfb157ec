"""What the core needs from the world, as protocols: the rooms above implement them, `main` brings them together."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from stoker_daemon.jobs.records import (
    Commit,
    Files,
    Head,
    Interrupted,
    JobFolder,
    KeptFiles,
    Leaving,
    Member,
    OpenJob,
    Output,
    Placement,
    Recorded,
    Result,
    Run,
    SavedArtifact,
    Verdict,
)
from stoker_protocol import jobs as words
from stoker_protocol.errors import FailureKind
from stoker_protocol.events import AnyEvent, LifecycleEvent
from stoker_protocol.replies import (
    Appended,
    ArtifactsPage,
    BlobStored,
    CancelledJob,
    DiskSpace,
    EventsPage,
    Finding,
    ItemsPage,
    JobReply,
    JobsPage,
    Moved,
    OutputsCleaned,
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
    CleanOutputs,
    EventsSince,
    GetSnapshot,
    GetStats,
    ListArtifacts,
    ListItems,
    ListJobs,
    ListOutputs,
    Move,
    PauseWork,
    PutBlob,
    ResumeWork,
    Retry,
    Role,
    Seal,
    Submit,
)

R = TypeVar("R")

Choose = Callable[[Sequence[Head]], Head | None]
"""The policy's one decision: which head is next."""


@dataclass(frozen=True, slots=True)
class ClaimOrder:
    """What a lane asks for: items of its engines, chosen by `choose`, at most `max_batch(engine)` in one run.

    `timeout_s` and `no_progress_s` hold for jobs that set none of their own. Nothing waits longer than `max_delay_s`
    after a failure: an item that would was delayed by a clock that has been put back since. Runs so short that a commit
    takes longer than they do may be claimed `at_once`: so many at most, for one model, to be run one after the other.
    """

    lane: str
    engines: frozenset[str]
    choose: Choose
    max_batch: Callable[[str], int]
    timeout_s: float
    no_progress_s: float
    max_delay_s: float
    at_once: int = 1


@dataclass(frozen=True, slots=True)
class StoredSnapshot:
    """The durable part of a snapshot page: a page of jobs and the queue as of `seq`."""

    seq: int
    queue: words.Queue
    jobs: list[words.Job]
    cursor: str


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, as the transport knows it."""

    name: str
    role: Role


class Clock(Protocol):
    """Where time comes from: wall-clock milliseconds since the epoch, and seconds that never jump."""

    def now_ms(self) -> int: ...

    def monotonic_s(self) -> float: ...


class JobStore(Protocol):
    """The durable queue. Every write returns after its commit is on disk; a refusal changes nothing."""

    async def accept(self, request: Submit, body: bytes, client: str, placement: Placement) -> None:
        """Store a job, or find that it is stored already. Raises Refused: `conflict`, `queue_full`."""
        ...

    async def check_new(self, request: Submit, body: bytes) -> None:
        """What `accept` would refuse. Raises Refused: `conflict`."""
        ...

    async def open_job(self, job_id: str) -> OpenJob:
        """What more items of a job are checked against. Raises Refused: `not_found`."""
        ...

    async def append(self, request: Append) -> Appended: ...

    async def seal(self, request: Seal) -> Sealed: ...

    async def pause_idle(self, idle_s: float) -> int:
        """Hold back open jobs that got no items for so many seconds; how many."""
        ...

    async def cancel(self, request: Cancel, author: str) -> list[CancelledJob]: ...

    async def retry(self, request: Retry, author: str) -> Retried: ...

    async def move(self, request: Move, author: str) -> Moved: ...

    async def pause(self, request: PauseWork, author: str) -> Paused: ...

    async def resume(self, request: ResumeWork, author: str) -> Resumed: ...

    async def job(self, job_id: str) -> JobReply: ...

    async def jobs(self, request: ListJobs) -> JobsPage: ...

    async def items(self, request: ListItems) -> ItemsPage: ...

    async def artifacts(self, request: ListArtifacts) -> ArtifactsPage: ...

    async def artifact(self, artifact_id: int) -> words.Artifact: ...

    async def snapshot(self, request: GetSnapshot) -> StoredSnapshot: ...

    async def stats(self, request: GetStats) -> Stats: ...

    async def events_since(self, request: EventsSince) -> EventsPage: ...

    async def claim(self, order: ClaimOrder) -> Run | None:
        """Commit a run row for the items that the policy chose, or None if nothing is ready."""
        ...

    async def record(self, ended: Sequence[tuple[Run, Sequence[Result]]], order: ClaimOrder | None) -> Recorded:
        """Commit what became of runs' members, and in the same transaction the next claim if there is an order."""
        ...

    async def next_due_ms(self) -> int | None:
        """When the next item's back-off ends, in wall-clock milliseconds."""
        ...

    async def tell(self, topic: str, event: LifecycleEvent) -> None:
        """Commit an event that changes nothing else."""
        ...

    async def finish_sweeps(self) -> int:
        """Bring to their ends the cancels and retries of large jobs that an earlier daemon began; how many."""
        ...

    async def interrupted(self) -> list[Interrupted]:
        """Runs that an earlier daemon left without an outcome."""
        ...

    async def hand_back(self, run: Interrupted) -> None:
        """Treat the members of such a run by their job's `on_interrupt`."""
        ...

    async def take_up(self, run: Interrupted, order: ClaimOrder) -> Run:
        """Such a run as it was claimed, so that it can go on under its own id."""
        ...

    async def unsummed(self) -> list[JobFolder]:
        """Final jobs whose summary file is not written yet, a few at a time."""
        ...

    async def summed(self, job: words.Job) -> None:
        """Remember that the summary file of a job, as it was then, is written."""
        ...

    async def kept_files(self, request: ListOutputs) -> tuple[list[KeptFiles], str]:
        """A page of jobs that have files, and its cursor."""
        ...

    async def output_totals(self) -> list[OutputTotal]:
        """What all artifacts amount to, by engine, model and media type."""
        ...

    async def cleanable(self, before_ms: int) -> tuple[int, Files]:
        """How many final jobs ended until then and still have their files, and what these amount to."""
        ...

    async def begin_leaving(self, before_ms: int) -> Leaving | None:
        """A job whose files are to be removed: one that was begun with, or the first of those that ended until then."""
        ...

    async def forget_some_events(self, before_ms: int) -> int:
        """Remove the first events of the log as far as they are old; how many."""
        ...

    async def forget_some_of_a_job(self, before_ms: int) -> bool:
        """Go one step on with the removal of an old job whose files are gone; False: there is none."""
        ...

    async def forget_some_artifacts(self, leaving: Leaving) -> Files | None:
        """Remove rows of artifacts whose files are gone, or None: there were none left, and the job is done with."""
        ...

    def subscribe(self, listener: Callable[[Commit], None]) -> None:
        """Call the listener on the loop after each commit that has something to tell."""
        ...

    def head(self) -> int:
        """The seq of the last committed event."""
        ...

    def findings(self) -> list[Finding]:
        """Whether the store can be written, and if not why."""
        ...


class RunObserver(Protocol):
    """Who listens to a run while an engine is at it. Calls come on the loop and never block."""

    @property
    def is_recorded(self) -> bool:
        """Whether what became of the run is committed."""
        ...

    @property
    def wants_previews(self) -> bool:
        """Whether somebody looks at them now."""
        ...

    def on_progress(self, phase: str, step: int, steps: int, fraction: float | None = None) -> None:
        """The run moved; `fraction` (0 to 1) tells how much of it is done, if the engine knows better than the step."""
        ...

    def on_waiting(self) -> None:
        """The engine works for somebody else: the time since the run last moved is not its own."""
        ...

    def on_preview(self, position: int, step: int, steps: int, image: bytes, media_type: str = "image/png") -> None: ...

    def on_output(self, output: Output) -> None: ...

    def on_item_done(self, position: int) -> None: ...

    def on_item_ended(self, position: int, state: Verdict, message: str) -> None:
        """The item ran to an end that is neither a success nor a failure; what it made is kept."""
        ...

    def on_item_failed(self, position: int, kind: FailureKind, message: str) -> None: ...


class Engine(Protocol):
    """An adapter that can load, run, interrupt and unload. One lane calls it, one call at a time.

    One that `remembers` goes on with a run when the daemon ends or loses sight of it: `run` under the same id takes up
    what there is instead of beginning anew.
    """

    name: str
    remembers: bool

    def facts(self) -> words.Engine:
        """What it offers and how it is, as far as is known without asking it."""
        ...

    async def start(self) -> None:
        """Begin; an engine that can't start yet is `down` and says why, it does not raise."""
        ...

    async def stop(self) -> None:
        """End all that it started."""
        ...

    def subscribe(self, listener: Callable[[], None], /) -> None:
        """Call the listener when it is there again without having been asked."""
        ...

    def recipes(self) -> list[words.Recipe]:
        """The recipes that its jobs may name, with their workflows."""
        ...

    def place(self, request: Submit) -> Placement:
        """Where a job belongs. Raises Refused: `bad_request`: no such model, recipe or profile."""
        ...

    async def check(self, request: Submit, placement: Placement, /) -> None:
        """Are all items' parameters what the model takes, as far as is known? Raises Refused: `bad_request`."""
        ...

    async def load(self, residency: str, /) -> float:
        """Make a model resident and return the seconds that it took (0 if it was). Raises EngineFailure."""
        ...

    async def run(self, run_id: str, members: Sequence[Member], observer: RunObserver) -> bool:
        """Run a batch; True: to its end, False: it was interrupted. Raises EngineFailure when the whole run failed."""
        ...

    async def holds(self, run: Interrupted, /) -> bool:
        """Has it anything of a run that was cut short: queued, at work, or its results? Raises EngineFailure."""
        ...

    async def interrupt(self, run_id: str) -> None:
        """Ask the run to stop at its next step."""
        ...

    async def terminate(self, *, force: bool) -> None:
        """End the engine's process politely, or with `force` at once; the run at work ends with EngineFailure."""
        ...


class Artifacts(Protocol):
    """The output tree. No method blocks the loop."""

    async def save(
        self, run: Run, member: Member, output: int, made: Output, facts: Mapping[str, Any]
    ) -> SavedArtifact:
        """Put one output and its provenance record on disk for good. Raises OSError."""
        ...

    async def read(self, path: str, offset: int, length: int) -> bytes:
        """Bytes of an artifact. Raises Refused: `not_found`: the file is gone."""
        ...

    async def sum_up(self, folder: JobFolder) -> None:
        """Write the summary file of a final job."""
        ...

    async def forget_unknown(self, members: Sequence[Member], known: frozenset[str]) -> int:
        """Remove files of these items that are not `known` paths; how many."""
        ...

    def folder(self, job_id: str, created_ms: int) -> str:
        """The folder of a job, relative to the data directory."""
        ...

    async def space(self) -> DiskSpace:
        """The disk that the tree is on."""
        ...

    async def remove_some(self, job_id: str, created_ms: int) -> bool:
        """Remove some of a job's files; False: none of ours is left. What people put there stays. Raises OSError."""
        ...


class Blobs(Protocol):
    """Input files by the SHA-256 of their content."""

    async def put(self, request: PutBlob) -> BlobStored:
        """Take some bytes. Raises Refused: `bad_request`: not a SHA-256, or the bytes are not what it says."""
        ...

    async def has(self, sha256: str) -> bool:
        """Whether all of it is there; if so, it is kept a while longer."""
        ...

    async def read(self, sha256: str) -> bytes:
        """The whole file. Raises Refused: `not_found`."""
        ...

    async def forget(self, before_ms: int) -> int:
        """Remove what nobody used since then; how many files."""
        ...


class Cleaning(Protocol):
    """Who removes the files of jobs."""

    async def clean(self, request: CleanOutputs) -> OutputsCleaned:
        """Remove what can be removed in a moment. Raises Refused."""
        ...


class LaneStatus(Protocol):
    """What handlers may know of the lanes."""

    def lanes(self) -> list[words.Lane]: ...

    def findings(self) -> list[Finding]: ...


class Announce(Protocol):
    """Where ephemeral events go; whoever takes them may conflate them."""

    def __call__(self, topic: str, event: AnyEvent) -> None: ...


@dataclass(frozen=True, slots=True)
class Services:
    """What a handler has at hand. `check` looks through the disk, `shut_down` begins a graceful stop, at once."""

    clock: Clock
    store: JobStore
    artifacts: Artifacts
    blobs: Blobs
    profiles: Sequence[words.Profile]
    cleaning: Cleaning
    engines: Mapping[str, Engine]
    default_engine: str
    lanes: LaneStatus
    daemon: words.Daemon
    event_endpoints: Callable[[], list[str]]
    check: Callable[[], Awaitable[list[Finding]]]
    shut_down: Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Asked(Generic[R]):
    """One request with what came with it."""

    request: R
    body: bytes
    caller: Caller
