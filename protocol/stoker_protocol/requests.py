"""What a client may ask: one struct for each op, and the place where a new verb starts."""

from enum import IntEnum
from typing import Annotated, ClassVar, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, field

from stoker_protocol.jobs import (
    MAX_ITEMS,
    FreeForm,
    ItemState,
    JobId,
    JobState,
    Level,
    Name,
    OnInterrupt,
    Priority,
    Reason,
)
from stoker_protocol.plans import Grouping

MAX_PAGE = 1_000
MAX_READ = 1 << 20
"""Bytes of an artifact in one reply."""

Cursor = Annotated[str, Meta(max_length=64)]
PageSize = Annotated[int, Meta(ge=1, le=MAX_PAGE)]
Seq = Annotated[int, Meta(ge=0, le=2**63 - 1)]
JobIds = Annotated[list[JobId], Meta(min_length=1, max_length=MAX_PAGE)]
Seconds = Annotated[float, Meta(gt=0, le=30 * 86_400)]
MAX_CHUNK = 4 << 20
"""Bytes of a blob in one request."""
MAX_BLOB = 1 << 30
Sha256 = Annotated[str, Meta(min_length=64, max_length=64)]
"""64 lower-case hexadecimal digits."""


class Role(IntEnum):
    """What a caller may do; each role may also do what lower ones may."""

    ANY = 0
    VIEW = 1
    SUBMIT = 2
    ADMIN = 3


class Request(Struct, frozen=True, tag_field="op", kw_only=True, omit_defaults=True):
    """What all requests carry: the caller's `id` for this request comes back in the reply."""

    role: ClassVar[Role] = Role.VIEW
    v: Literal[1] = field(default_factory=lambda: 1)  # not a plain default, which would be left out of the map
    id: Annotated[str, Meta(max_length=64)]


class Hello(Request, frozen=True, tag="hello", kw_only=True):
    """Who are you, what do you speak, and who am I to you?"""

    role = Role.ANY


class Ping(Request, frozen=True, tag="ping", kw_only=True):
    """Are you there? Never waits for work."""

    role = Role.ANY


class Health(Request, frozen=True, tag="health", kw_only=True):
    """Can a job make progress, and if not, what is in its way?"""

    role = Role.ANY


class Check(Request, frozen=True, tag="check", kw_only=True):
    """Is what the daemon keeps on its disk sound? Looks deeper than `health`, and takes longer."""


class ItemSpec(Struct, frozen=True, omit_defaults=True, gc=False):  # gc: ten thousand at once, none in a cycle
    """One item of a submitted job; `params` are laid over the job's."""

    params: FreeForm | UnsetType = UNSET
    custom_id: Annotated[str, Meta(max_length=200)] | None = None


class Submit(Request, frozen=True, tag="submit", kw_only=True):
    """Accept a job. The client makes `job_id`: the same map again is the same job, another under that id a conflict.

    Without `engine`, `model` or `recipe` the default ones are meant; by a recipe alone, the engine that has it.
    `workflow` is a graph of the client's own in the engine's format, instead of a recipe. `profile` names defaults that
    lie under `params`. `batch_size` bounds how many items share one run (0: what the engine and the policy find best);
    `level` is how equal they must be to what they are alone if they do (None: `exact` for a `batch_size` of 1, else
    `close`), `max_concurrency` bounds how many items of the job are at work at once (0: as many as there may be),
    `timeout_s` and `no_progress_s` bound one item's run and its silence (None: the daemon's defaults). With `more` the
    job stays open: `append` adds items, it runs meanwhile, and it can't end before it is sealed. `dry_run` checks and
    stores nothing.
    """

    role = Role.SUBMIT
    job_id: JobId
    engine: Annotated[str, Meta(max_length=64)] = ""
    items: Annotated[list[ItemSpec], Meta(min_length=1, max_length=MAX_ITEMS)]
    model: Annotated[str, Meta(max_length=200)] = ""
    recipe: Annotated[str, Meta(max_length=64)] = ""
    workflow: FreeForm | UnsetType = UNSET
    profile: Annotated[str, Meta(max_length=64)] = ""
    params: FreeForm | UnsetType = UNSET
    name: Name = ""
    priority: Priority = Priority.NORMAL
    metadata: FreeForm | UnsetType = UNSET
    on_interrupt: OnInterrupt = OnInterrupt.REQUEUE
    batch_size: Annotated[int, Meta(ge=0, le=1024)] = 0
    level: Level | None = None
    max_concurrency: Annotated[int, Meta(ge=0, le=MAX_ITEMS)] = 0
    max_attempts: Annotated[int, Meta(ge=1, le=100)] = 3
    timeout_s: Seconds | None = None
    no_progress_s: Seconds | None = None
    more: bool = False
    dry_run: bool = False


class Append(Request, frozen=True, tag="append", kw_only=True):
    """Add items to an open job; `at` is the index of the first one, so that a repetition is known as such.

    The same items at the same place again change nothing, other items there are a conflict.
    """

    role = Role.SUBMIT
    job_id: JobId
    at: Seq
    items: Annotated[list[ItemSpec], Meta(min_length=1, max_length=MAX_ITEMS)]


class Seal(Request, frozen=True, tag="seal", kw_only=True):
    """Close an open job: no more items come, and it ends when those that it has have ended."""

    role = Role.SUBMIT
    job_id: JobId


class GetJob(Request, frozen=True, tag="job", kw_only=True):
    """One job as it is now."""

    job_id: JobId


class ListJobs(Request, frozen=True, tag="jobs", kw_only=True):
    """A page of jobs, newest first, optionally only those in some states.

    `called` is what a person said instead of an id: only jobs whose id begins so, or whose name it is, of which no more
    than some thousand are looked for.
    """

    states: Annotated[tuple[JobState, ...], Meta(max_length=7)] = ()
    called: Name = ""
    limit: PageSize = 100
    cursor: Cursor = ""


class ListItems(Request, frozen=True, tag="items", kw_only=True):
    """A page of a job's items in order, with their artifacts, optionally with their parameters."""

    job_id: JobId
    states: Annotated[tuple[ItemState, ...], Meta(max_length=7)] = ()
    with_params: bool = False
    limit: PageSize = 100
    cursor: Cursor = ""


class Cancel(Request, frozen=True, tag="cancel", kw_only=True):
    """Cancel the named jobs, or by `scope` all that still wait (`queued`) or all that are not final (`all`).

    Harmless to repeat; touches no other job; the reply says what it did to each.
    """

    role = Role.SUBMIT
    job_ids: JobIds | None = None
    scope: Literal["queued", "all"] | None = None


class Retry(Request, frozen=True, tag="retry", kw_only=True):
    """Send items of a job that ended in `states` back to the queue with fresh attempts.

    `rev` is the job's revision that the caller saw: repeating a retry with the same `rev` does nothing more.
    """

    role = Role.SUBMIT
    job_id: JobId
    rev: Seq
    states: Annotated[tuple[ItemState, ...], Meta(min_length=1, max_length=4)] = (ItemState.FAILED,)


class Move(Request, frozen=True, tag="move", kw_only=True):
    """Give a job another priority, or with `front` the first place in its priority.

    `rev` is the job's revision that the caller saw: repeating a move with the same `rev` does nothing more.
    """

    role = Role.SUBMIT
    job_id: JobId
    rev: Seq
    priority: Priority | None = None
    front: bool = False


class PauseWork(Request, frozen=True, tag="pause", kw_only=True):
    """Hold back one job, or without `job_id` all work: after the runs at work, or with `interrupt` by stopping them.

    `release_gpu`: once nothing runs any more, the lanes of the GPU give back what their models hold; of all work only.
    """

    role = Role.SUBMIT
    job_id: JobId | None = None
    reason: Reason = ""
    interrupt: bool = False
    release_gpu: bool = False


class ResumeWork(Request, frozen=True, tag="resume", kw_only=True):
    """Let a paused job, or without `job_id` the queue, go on."""

    role = Role.SUBMIT
    job_id: JobId | None = None


class GetSnapshot(Request, frozen=True, tag="snapshot", kw_only=True):
    """The state as of a seq: queue, lanes and a page of jobs (those named, or all that are not final, or all).

    `ended_since_ms`: beside those that are not final, also those that ended then or later, for who missed events.
    """

    job_ids: JobIds | None = None
    include_final: bool = False
    ended_since_ms: Seq | None = None
    limit: PageSize = 100
    cursor: Cursor = ""


class EventsSince(Request, frozen=True, tag="events_since", kw_only=True):
    """Committed events after `seq`, oldest first, optionally only those whose topic begins with `topic`."""

    seq: Seq
    topic: Annotated[str, Meta(max_length=100)] = ""
    limit: PageSize = 500


class ListArtifacts(Request, frozen=True, tag="artifacts", kw_only=True):
    """A page of a job's artifacts in item order."""

    job_id: JobId
    limit: PageSize = 500
    cursor: Cursor = ""


class ReadArtifact(Request, frozen=True, tag="read_artifact", kw_only=True):
    """Bytes of an artifact from `offset`."""

    artifact_id: Seq
    offset: Seq = 0
    length: Annotated[int, Meta(ge=1, le=MAX_READ)] = MAX_READ


class ListOutputs(Request, frozen=True, tag="outputs", kw_only=True):
    """A page of the jobs that have files, newest first, or the one named; `with_totals`: what there is in all, too."""

    job_id: JobId | None = None
    with_totals: bool = False
    limit: PageSize = 100
    cursor: Cursor = ""


class CleanOutputs(Request, frozen=True, tag="clean_outputs", kw_only=True):
    """Remove the files of jobs that ended at least `older_than_ms` ago; of other jobs nothing is touched.

    One request removes what it can in a moment and says whether there is `more`; repeating it goes on from there.
    `dry_run` removes nothing and answers what all of them would.
    """

    role = Role.ADMIN
    older_than_ms: Seq
    dry_run: bool = False


class ListEngines(Request, frozen=True, tag="engines", kw_only=True):
    """The engines with their models, parameters and state."""


class ListModels(Request, frozen=True, tag="models", kw_only=True):
    """The models of all engines or of one, optionally of one kind: `checkpoint`, `lora`, `vae` ..."""

    engine: Annotated[str, Meta(max_length=64)] = ""
    kind: Annotated[str, Meta(max_length=64)] = ""


class ListRecipes(Request, frozen=True, tag="recipes", kw_only=True):
    """The recipes of all engines, or the one named, then with its workflow."""

    name: Annotated[str, Meta(max_length=64)] = ""


class ListProfiles(Request, frozen=True, tag="profiles", kw_only=True):
    """The profiles: named sets of defaults."""


class PutBlob(Request, frozen=True, tag="put_blob", kw_only=True):
    """Store bytes of an input file from `offset`, known by the SHA-256 of the whole, which has `total` bytes.

    The reply says how much of it is there: nothing need be sent that is, and after a break one goes on from there.
    An item means the file by the parameter value `blob:<sha256>`.
    """

    role = Role.SUBMIT
    sha256: Sha256
    total: Annotated[int, Meta(ge=1, le=MAX_BLOB)]
    offset: Annotated[int, Meta(ge=0, le=MAX_BLOB)] = 0
    data: Annotated[bytes, Meta(max_length=MAX_CHUNK)] = b""


class GetStats(Request, frozen=True, tag="stats", kw_only=True):
    """What was done, how fast, and how long it waited: in the last `window_s` seconds, by default an hour.

    Of one job, if one is named, and then by default in its whole life.
    """

    job_id: JobId | None = None
    window_s: Seconds | None = None


class GetGpu(Request, frozen=True, tag="gpu", kw_only=True):
    """How the GPUs and their host are now and were in the last minutes, and who holds what on the executor's."""


class GetPlan(Request, frozen=True, tag="plan", kw_only=True):
    """Which runs are to come, in which order and why, if nothing more is submitted?

    `grouping`: with runs of all that engines can run together, or of what differs in nothing but the seed; by default
    as the daemon does.
    """

    grouping: Grouping | None = None


class AskWhy(Request, frozen=True, tag="why", kw_only=True):
    """Why does this job not run yet, and when does it at the latest?"""

    job_id: JobId


class ExecutePlan(Request, frozen=True, tag="execute_plan", kw_only=True):
    """Carry out the plan that had this token exactly as it was, and let the queue go on if it is paused."""

    role = Role.ADMIN
    token: Annotated[str, Meta(min_length=1, max_length=64)]


class Describe(Request, frozen=True, tag="describe", kw_only=True):
    """JSON Schema of every request, reply and event."""

    role = Role.ANY


class Reload(Request, frozen=True, tag="reload", kw_only=True):
    """Read the configuration again, and apply what can be changed while the daemon works."""

    role = Role.ADMIN


class Shutdown(Request, frozen=True, tag="shutdown", kw_only=True):
    """Stop the daemon: runs at work may end within its grace, the others are handed back to the queue."""

    role = Role.ADMIN
    reason: Reason = ""


AnyRequest = (
    Hello
    | Ping
    | Health
    | Check
    | Submit
    | Append
    | Seal
    | GetJob
    | ListJobs
    | ListItems
    | Cancel
    | Retry
    | Move
    | PauseWork
    | ResumeWork
    | GetSnapshot
    | EventsSince
    | ListArtifacts
    | ReadArtifact
    | ListOutputs
    | CleanOutputs
    | ListEngines
    | ListModels
    | ListRecipes
    | ListProfiles
    | PutBlob
    | GetStats
    | GetGpu
    | GetPlan
    | AskWhy
    | ExecutePlan
    | Describe
    | Reload
    | Shutdown
)
