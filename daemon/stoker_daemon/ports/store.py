"""What the core needs of the durable queue."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from stoker_daemon.jobs.records import (
    Choice,
    Commit,
    Files,
    Head,
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
from stoker_protocol import jobs as words
from stoker_protocol.events import LifecycleEvent
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

Choose = Callable[[Sequence[Head], str, int], Choice | None]
"""The policy's one decision: what the run of that id takes, at that time in wall-clock milliseconds."""


@dataclass(frozen=True, slots=True)
class ClaimOrder:
    """What a lane asks for: items of its engines, chosen by `choose`, which is called within the transaction.

    `timeout_s` and `no_progress_s` hold for jobs that set none of their own. Nothing waits longer than `max_delay_s`
    after a failure: an item that would was delayed by a clock that has been put back since. Runs so short that a commit
    takes longer than they do may be claimed `at_once`: so many at most, of one choice, to be run one after the other;
    `choose_alike(run_id, first)` then hears of each that was chosen with the first.
    """

    lane: str
    engines: frozenset[str]
    choose: Choose
    timeout_s: float
    no_progress_s: float
    max_delay_s: float
    at_once: int = 1
    choose_alike: Callable[[str, str], None] = lambda _run_id, _first: None


@dataclass(frozen=True, slots=True)
class StoredSnapshot:
    """The durable part of a snapshot page: a page of jobs and the queue as of `seq`."""

    seq: int
    queue: words.Queue
    jobs: list[words.Job]
    cursor: str


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

    async def cancel(self, request: Cancel, author: str, owner: str | None = None) -> list[CancelledJob]:
        """Cancel jobs; of a scope only those of the owner, if one is named."""
        ...

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

    async def ready_items(self) -> dict[words.Priority, int]:
        """How many items of each priority could run now."""
        ...

    async def waiting(self, *, alike: bool = False) -> WaitingLots:
        """What is ready, as far as anybody looks ahead; `alike`: each lot of items that differ in the seed only."""
        ...

    async def queue(self) -> words.Queue:
        """All that waits and runs, and whether it is held back."""
        ...

    async def back_off_ends_ms(self, job_id: str) -> int | None:
        """When the first item of a job that failed may be tried again; None: none of them waits for that."""
        ...

    async def next_due_ms(self) -> int | None:
        """When the next item's back-off ends, in wall-clock milliseconds."""
        ...

    async def tell(self, topic: str, event: LifecycleEvent) -> None:
        """Commit an event that changes nothing else."""
        ...

    async def remember(self, key: str, text: str) -> None:
        """Keep a text under a key, in place of what was there."""
        ...

    async def recall(self, key: str) -> str | None:
        """What is kept under a key."""
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

    async def forget_events_beyond(self, most: int) -> int:
        """Remove some of the first events of the log as far as there are more than `most`; how many."""
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
