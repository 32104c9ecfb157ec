"""What a model class is to a worker: the four verbs that it has, and what they take and give."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from stoker_protocol.errors import FailureKind
from stoker_protocol.worker import ModelFamily


class Interrupted(Exception):
    """The run is to stop: raised by `report`, and meant to pass through the model."""


class BatchItem(NamedTuple):
    """One item of a batch: its place in it, and its parameters, checked and with their defaults."""

    position: int
    params: Mapping[str, Any]


class Output(NamedTuple):
    """One output of the item at `position`: an encoded file, its media type, suffix (`.png`), facts for its record.

    The item is done with it, and counts as succeeded whatever happens next, unless `more` outputs of it follow.
    """

    position: int
    data: bytes
    media_type: str
    suffix: str
    record: Mapping[str, Any]
    more: bool = False


class Done(NamedTuple):
    """The item at `position` succeeded and leaves no file, or none beside those that it has given."""

    position: int


class Failure(NamedTuple):
    """The item at `position` has no result; the others may have."""

    position: int
    kind: FailureKind
    message: str


Made = Output | Done | Failure
"""What a run yields."""


class Estimate(NamedTuple):
    """What a batch of a certain size is expected to take."""

    seconds: float
    memory_mb: float


class Report(Protocol):
    """Tells the daemon how far a run is; raises Interrupted when the run is to stop."""

    @property
    def wants_preview(self) -> bool: ...

    def __call__(
        self, *, phase: str, step: int, steps: int, preview: bytes | None = None, position: int | None = None
    ) -> None: ...


class Model(Protocol):
    """A family of models that run alike; an instance is one of its models.

    `run` yields each output as soon as it is there; what it raises fails the whole batch, and its members are then
    tried one by one.
    """

    @classmethod
    def describe(cls) -> ModelFamily: ...

    def __init__(self, model: str, options: Mapping[str, Any]) -> None: ...

    def load(self) -> None: ...

    def run(self, batch: Sequence[BatchItem], report: Report) -> Iterator[Made]: ...

    def unload(self) -> None: ...

    def estimate(self, count: int) -> Estimate: ...
