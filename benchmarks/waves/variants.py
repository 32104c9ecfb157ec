"""Five variants of the model family `sprites`, so that there is something to load."""

from collections.abc import Mapping
from typing import Any

from stoker_protocol.jobs import ModelFacts
from stoker_protocol.worker import ModelFamily
from stoker_worker.models.sprites import MODELS, Sprites

NAMES = ("ash", "birch", "cedar", "elm", "oak")


class Variants(Sprites):
    """Each draws as one of the family does; `options` are those of the family."""

    @classmethod
    def describe(cls, options: Mapping[str, Any]) -> ModelFamily:
        """Five models."""
        family = super().describe(options)
        models = [ModelFacts(name) for name in NAMES]
        return ModelFamily("variants", models, family.parameters, family.max_batch)

    def __init__(self, model: str, options: Mapping[str, Any]) -> None:
        looks = list(MODELS)
        super().__init__(looks[NAMES.index(model) % len(looks)], options)
