"""A model that does nothing, so that what is left to measure is Stoker."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchmarks.core.marks import tell
from stoker_protocol.jobs import ModelFacts, Parameter
from stoker_protocol.worker import ModelFamily
from stoker_worker.model import BatchItem, Done, Model, Report

MODELS = ("noop", "noop-2", "noop-3")


class Noop(Model):
    """Every item is done at once and leaves no file."""

    @classmethod
    def describe(cls, _options: Mapping[str, Any]) -> ModelFamily:
        """Take any payload."""
        return ModelFamily(
            "noop", [ModelFacts(name) for name in MODELS], [Parameter("p", "string", default="")], max_batch=64
        )

    def load(self) -> None:
        """Hold nothing."""

    def run(self, batch: Sequence[BatchItem], _report: Report) -> Iterator[Done]:
        """Do nothing, but for what is marked."""
        for item in batch:
            tell(item.params["p"])
            yield Done(item.position)
