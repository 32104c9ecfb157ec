"""The messages of dgx-pixels, protocol 1: msgpack maps tagged by `type`; optional fields are left out when absent."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from stoker_protocol.jobs import MAX_ITEMS, JobId

Size = Annotated[int, Meta(ge=1, le=65_536)]
Count = Annotated[int, Meta(ge=1, le=MAX_ITEMS)]
Stage = Literal["initializing", "loading_models", "encoding", "sampling", "decoding", "post_processing"]


class Message(Struct, frozen=True, tag_field="type", kw_only=True, omit_defaults=True):
    """What all of them are."""


class Generate(Message, frozen=True, tag="generate", kw_only=True):
    """Make pictures; `size` is width and height in pixels, `tileset_grid` columns and rows."""

    id: JobId
    prompt: str
    model: str
    size: tuple[Size, Size]
    steps: int
    cfg_scale: float
    lora: str | None = None
    batch_size: Count | None = None
    animation_frames: Count | None = None
    tileset_grid: tuple[Count, Count] | None = None


class Cancel(Message, frozen=True, tag="cancel", kw_only=True):
    """Cancel a job."""

    job_id: JobId


class ListModels(Message, frozen=True, tag="list_models", kw_only=True):
    """Which models are there?"""


class Status(Message, frozen=True, tag="status", kw_only=True):
    """How is the server?"""


class Ping(Message, frozen=True, tag="ping", kw_only=True):
    """Is it there?"""


class JobAccepted(Message, frozen=True, tag="job_accepted", kw_only=True):
    """Answers `generate`."""

    job_id: str
    estimated_time_s: float


class JobComplete(Message, frozen=True, tag="job_complete", kw_only=True):
    """Answers a `generate` that was made before: its first picture, as a file."""

    job_id: str
    image_path: str
    duration_s: float


class JobError(Message, frozen=True, tag="job_error", kw_only=True):
    """Answers `generate` and `cancel` where the daemon refuses, and a `generate` that failed before."""

    job_id: str
    error: str


class JobCancelled(Message, frozen=True, tag="job_cancelled", kw_only=True):
    """Answers `cancel`, and a `generate` that was cancelled before."""

    job_id: str


class Model(Struct, frozen=True):
    """One model. What the daemon does not know, its size, is 0."""

    name: str
    path: str
    model_type: Literal["checkpoint", "lora", "vae"]
    size_mb: int


class ModelList(Message, frozen=True, tag="model_list", kw_only=True):
    """Answers `list_models`."""

    models: list[Model]


class StatusInfo(Message, frozen=True, tag="status_info", kw_only=True):
    """Answers `status`."""

    version: str
    queue_size: int
    active_jobs: int
    uptime_s: int


class Pong(Message, frozen=True, tag="pong", kw_only=True):
    """Answers `ping`."""


class Error(Message, frozen=True, tag="error", kw_only=True):
    """Answers what can't be read or done."""

    message: str


class JobStarted(Message, frozen=True, tag="job_started", kw_only=True):
    """Published: the first pictures of a job are being made; seconds since the epoch."""

    job_id: str
    timestamp: int


class Progress(Message, frozen=True, tag="progress", kw_only=True):
    """Published: how far a job is."""

    job_id: str
    stage: Stage
    step: int
    total_steps: int
    percent: float
    eta_s: float


class Preview(Message, frozen=True, tag="preview", kw_only=True):
    """Published: an unfinished picture, as a file."""

    job_id: str
    image_path: str
    step: int


class JobFinished(Message, frozen=True, tag="job_finished", kw_only=True):
    """Published: a job has ended."""

    job_id: str
    success: bool
    duration_s: float


Request = Generate | Cancel | ListModels | Status | Ping
Reply = JobAccepted | JobComplete | JobError | JobCancelled | ModelList | StatusInfo | Pong | Error
Update = JobStarted | Progress | Preview | JobFinished

_decoder: msgspec.msgpack.Decoder[Request] = msgspec.msgpack.Decoder(Request)
_encoder = msgspec.msgpack.Encoder()


def decode(body: bytes) -> Request:
    """A request.

    Raises:
        msgspec.DecodeError: It is none, and why.
    """
    try:
        return _decoder.decode(body)
    except (UnicodeDecodeError, RecursionError) as error:
        raise msgspec.DecodeError(str(error)) from None


def encode(message: Any) -> bytes:
    """A reply or an update."""
    return _encoder.encode(message)
