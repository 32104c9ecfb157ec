"""A model that does nothing, so that what is left to measure is Stoker."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from stoker_protocol.jobs import ModelFacts, Parameter
from stoker_protocol.worker import ModelFamily
from stoker_worker.model import BatchItem, Done, Estimate, Report

MODELS = ("noop", "noop-2", "noop-3")


class Noop:
    """Every item is done at once and leaves no file."""

    @classmethod
    def describe(cls) -> ModelFamily:
        """Take any payload."""
        return ModelFamily(
            "noop", [ModelFacts(name) for name in MODELS], [Parameter("p", "string", default="")], max_batch=64
        )

    def __init__(self, model: str, options: Mapping[str, Any]) -> None:
        """Need nothing."""

    def load(self) -> None:
        """Hold nothing."""

    def run(self, batch: Sequence[BatchItem], _report: Report) -> Iterator[Done]:
        """Do nothing."""
        return (Done(item.position) for item in batch)

    def unload(self) -> None:
        """Hold nothing."""

    def estimate(self, count: int) -> Estimate:
        """Take no time."""
        return Estimate(seconds=0.0 * count, memory_mb=0.0)
