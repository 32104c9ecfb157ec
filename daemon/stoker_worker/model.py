"""What a model class is to a worker: what it says of itself, its verbs, and what they take and give."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from stoker_protocol.errors import FailureKind
from stoker_protocol.jobs import ModelFacts, Parameter
from stoker_protocol.worker import ModelFamily

__all__ = [
    "BatchItem",
    "Done",
    "Failure",
    "FailureKind",
    "Interrupted",
    "Made",
    "Model",
    "ModelFacts",
    "ModelFamily",
    "Output",
    "Parameter",
    "Report",
]


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


class Report(Protocol):
    """Tells the daemon how far a run is; raises Interrupted when the run is to stop."""

    @property
    def wants_preview(self) -> bool: ...

    def __call__(
        self, *, phase: str, step: int, steps: int, preview: bytes | None = None, position: int | None = None
    ) -> None: ...


class Model(ABC):
    """A family of models that run alike; an instance is one of its models, made before it is loaded.

    `options` are those of the configuration; what is wrong with them, or missing on this machine, `describe` raises.
    """

    @classmethod
    @abstractmethod
    def describe(cls, options: Mapping[str, Any], /) -> ModelFamily:
        """The models, the parameters of an item, and how many items one call of `run` takes at most."""

    def __init__(self, model: str, options: Mapping[str, Any]) -> None:
        self.model = model
        self.options = options

    @abstractmethod
    def load(self) -> None:
        """Read the weights: what the process grows by meanwhile is what the model is taken to hold."""

    @abstractmethod
    def run(self, batch: Sequence[BatchItem], report: Report, /) -> Iterator[Made]:
        """Make what each item asks for, and yield each output as soon as it is there.

        What it raises fails the whole batch, and its members are then tried one by one.
        """

    def unload(self) -> None:
        """Give back what is not given back by forgetting the instance."""
        return
