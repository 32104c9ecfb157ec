"""Model classes that hold memory of a simulated card."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tests.fakes.nvml.shared import GB, Full, SharedCard

from stoker_protocol.jobs import ModelFacts, Parameter
from stoker_protocol.worker import ModelFamily
from stoker_worker.model import BatchItem, Made, Model, Output, Report

SIZES_GB = {"large": 14, "small": 5}


class OutOfMemoryError(RuntimeError):
    """Named as GPU libraries name theirs."""


class Heavy(Model):
    """Echoes prompts; `large` and `small` hold so much of the card of the option `card` (see `SharedCard`)."""

    def __init__(self, model: str, options: Mapping[str, Any]) -> None:
        super().__init__(model, options)
        self._card = SharedCard(options["card"])

    @classmethod
    def describe(cls, _options: Mapping[str, Any]) -> ModelFamily:
        """Say what there is."""
        parameters = [Parameter("prompt", "string", required=True)]
        return ModelFamily("heavy", [ModelFacts(name) for name in SIZES_GB], parameters, max_batch=4)

    def load(self) -> None:
        """Take the memory."""
        try:
            self._card.put(self.model, SIZES_GB[self.model] * GB)
        except Full as full:
            raise OutOfMemoryError(str(full)) from None

    def run(self, batch: Sequence[BatchItem], _report: Report) -> Iterator[Made]:
        """Echo."""
        for item in batch:
            yield Output(item.position, item.params["prompt"].encode(), "text/plain", ".txt", {})

    def unload(self) -> None:
        """Give it back."""
        self._card.take(self.model)
