"""What the classes of a worker offer: their models, and what the items of each take."""

from collections.abc import Sequence

import msgspec

from stoker_protocol.jobs import ModelFacts, Parameter
from stoker_protocol.worker import MAX_BATCH, ModelFamily


class Offers:
    """All that the worker said at its beginning; of none, before it did."""

    def __init__(self, families: Sequence[ModelFamily] = ()) -> None:
        self._families = families
        self._of_model = {model.name: family for family in families for model in family.models}
        self.max_batch = min(MAX_BATCH, max((family.max_batch for family in families), default=1))
        """Items in a run; the worker divides what is too much for a model."""

    @property
    def are_known(self) -> bool:
        """Whether a worker has said what there is."""
        return bool(self._families)

    @property
    def models(self) -> list[ModelFacts]:
        """The models, the default one first."""
        return [model for family in self._families for model in family.models]

    @property
    def sizes(self) -> dict[str, int]:
        """The bytes that models expect to hold, where they say so."""
        return {model: size for family in self._families for model, size in family.bytes.items()}

    @property
    def parameters(self) -> list[Parameter]:
        """What items of any model may take; required is only what all require."""
        found: dict[str, Parameter] = {}
        for parameter in (each for family in self._families for each in family.parameters):
            found.setdefault(parameter.name, parameter)
        return [
            msgspec.structs.replace(one, required=all(_requires(family, name) for family in self._families))
            for name, one in found.items()
        ]

    def parameters_of(self, model: str) -> list[Parameter]:
        """What items of a model take."""
        family = self._of_model.get(model)
        return family.parameters if family else []


def _requires(family: ModelFamily, name: str) -> bool:
    return any(parameter.required for parameter in family.parameters if parameter.name == name)
