"""What the daemon tells: numbered lifecycle facts that are never lost, and ephemeral reports that may be."""

from msgspec import Struct

from stoker_protocol.gpus import Sample
from stoker_protocol.jobs import Job, Lane, Outcome, Pause, Progress, Run


class Event(Struct, frozen=True, tag_field="type", kw_only=True):
    """What all events carry.

    `seq` numbers lifecycle events without holes for the life of the database and is None on ephemeral ones; `prev` is
    the seq of the event before on the same topic (0: none), so that a subscriber of one topic sees a hole.
    """

    v: int = 1
    seq: int | None = None
    prev: int | None = None
    at_ms: int = 0


class JobSubmitted(Event, frozen=True, tag="job_submitted", kw_only=True):
    """A job was accepted."""

    job: Job


class JobAppended(Event, frozen=True, tag="job_appended", kw_only=True):
    """An open job got `count` more items, the first of which has the index `at`."""

    job: Job
    at: int
    count: int


class JobSealed(Event, frozen=True, tag="job_sealed", kw_only=True):
    """An open job was closed: no more items come."""

    job: Job


class JobMoved(Event, frozen=True, tag="job_moved", kw_only=True):
    """A job got another priority or place."""

    job: Job
    author: str


class RunStarted(Event, frozen=True, tag="run_started", kw_only=True):
    """Items of the job were handed to an engine."""

    job: Job
    run: Run


class RunFinished(Event, frozen=True, tag="run_finished", kw_only=True):
    """A run ended; one outcome for each item of the job that took part."""

    job: Job
    run_id: str
    outcomes: list[Outcome]


class JobCancelled(Event, frozen=True, tag="job_cancelled", kw_only=True):
    """Somebody cancelled the job: `dropped` waiting items at once, `stopping` running ones as soon as they let go."""

    job: Job
    author: str
    dropped: int
    stopping: int


class JobRetried(Event, frozen=True, tag="job_retried", kw_only=True):
    """Somebody sent items of the job back to the queue."""

    job: Job
    author: str
    requeued: int


class JobPaused(Event, frozen=True, tag="job_paused", kw_only=True):
    """The job is held back; `job.paused` says by whom and why."""

    job: Job


class JobResumed(Event, frozen=True, tag="job_resumed", kw_only=True):
    """The job is no longer held back."""

    job: Job
    author: str


class QueuePaused(Event, frozen=True, tag="queue_paused", kw_only=True):
    """All work is held back."""

    paused: Pause


class QueueResumed(Event, frozen=True, tag="queue_resumed", kw_only=True):
    """Work goes on."""

    author: str


class ModelLoaded(Event, frozen=True, tag="model_loaded", kw_only=True):
    """A lane loaded a model, which took `seconds`; `reason` says why this one and why then."""

    lane: str
    engine: str
    model: str
    seconds: float
    reason: str = ""


class BatchReduced(Event, frozen=True, tag="batch_reduced", kw_only=True):
    """Fewer items of a model share a run from now on; `reason` says why, mostly that memory is short."""

    lane: str
    engine: str
    model: str
    reason: str


class ModelUnloaded(Event, frozen=True, tag="model_unloaded", kw_only=True):
    """A lane had an engine give back what a model holds; `reason`: `idle`, `pause`, or for which model it made room."""

    lane: str
    engine: str
    model: str
    reason: str


class RunEscalated(Event, frozen=True, tag="run_escalated", kw_only=True):
    """A run did not stop by itself: `rung` is `interrupt`, `terminate` or `kill`."""

    lane: str
    engine: str
    run_id: str
    rung: str
    reason: str


class EngineDown(Event, frozen=True, tag="engine_down", kw_only=True):
    """An engine's process ended or its server stopped answering."""

    lane: str
    engine: str
    detail: str


class DaemonStarted(Event, frozen=True, tag="daemon_started", kw_only=True):
    """The daemon is up; `interrupted` runs had been cut short by the end of the one before."""

    version: str
    boot: str
    interrupted: int


class DaemonStopping(Event, frozen=True, tag="daemon_stopping", kw_only=True):
    """The daemon was asked to stop and takes no new work."""

    boot: str
    reason: str


class JobProgress(Event, frozen=True, tag="job_progress", kw_only=True):
    """Ephemeral: how far a job is."""

    job_id: str
    progress: Progress


class Preview(Event, frozen=True, tag="preview", kw_only=True):
    """Ephemeral: an unfinished picture of one item, as an image file's bytes."""

    job_id: str
    index: int
    step: int
    steps: int
    media_type: str
    image: bytes


class LaneChanged(Event, frozen=True, tag="lane_changed", kw_only=True):
    """Ephemeral: what a lane does now."""

    lane: Lane


class GpuSampled(Event, frozen=True, tag="gpu_sampled", kw_only=True):
    """Ephemeral: how the GPUs and their host are now."""

    sample: Sample


class Tick(Event, frozen=True, tag="tick", kw_only=True):
    """Ephemeral, about each second: the last committed seq, so that a subscriber in silence can tell what it missed."""

    head: int
    instance_id: str
    boot: str


class Synced(Event, frozen=True, tag="synced", kw_only=True):
    """Ephemeral, on `sync/<nonce>`: the subscriptions made before that one are in force as of `head`."""

    head: int
    instance_id: str
    boot: str


JobEvent = (
    JobSubmitted
    | JobAppended
    | JobSealed
    | JobMoved
    | RunStarted
    | RunFinished
    | JobCancelled
    | JobRetried
    | JobPaused
    | JobResumed
)
"""Carries the whole new state of one job."""

LifecycleEvent = (
    JobEvent
    | QueuePaused
    | QueueResumed
    | ModelLoaded
    | BatchReduced
    | ModelUnloaded
    | RunEscalated
    | EngineDown
    | DaemonStarted
    | DaemonStopping
)
EphemeralEvent = JobProgress | Preview | LaneChanged | GpuSampled | Tick | Synced
AnyEvent = LifecycleEvent | EphemeralEvent


def topic_of_job(job_id: str) -> str:
    """The topic that all lifecycle and progress events of one job begin with."""
    return f"job/{job_id}/"


def topic_of_preview(job_id: str) -> str:
    """The topic that previews of one job begin with; nothing is drawn unless somebody subscribes to it."""
    return f"preview/{job_id}/"


def topic_of_lane(lane: str) -> str:
    """The topic that events of one lane begin with."""
    return f"lane/{lane}/"


GPU_TOPIC = "gpu/"
QUEUE_TOPIC = "queue/"
DAEMON_TOPIC = "daemon/"
SYNC_TOPIC = "sync/"
