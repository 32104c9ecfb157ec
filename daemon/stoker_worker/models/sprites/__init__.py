"""Sprites, the embedded default models: pixel art drawn by rules from words and a seed (procedural, not learned)."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from stoker_protocol.errors import FailureKind
from stoker_protocol.jobs import ModelFacts, Parameter
from stoker_protocol.worker import ModelFamily
from stoker_worker.model import BatchItem, Failure, Model, Output, Report
from stoker_worker.models.sprites import palette, picture, sprite, tiles
from stoker_worker.models.sprites.motion import POSES, posed
from stoker_worker.models.sprites.palette import COLOURS, FIXED, Rgba
from stoker_worker.models.sprites.prompt import SEED_LIMIT, Recipe, recipe

MODELS = {
    "classic": "Procedural pixel art in full colour.",
    "handheld": "Procedural pixel art in the four greens of an old handheld.",
    "neon": "Procedural pixel art, dark bodies with a rim of light.",
}
LOAD_S = 0.5  # what a load pretends to take, unless the options say otherwise
MAX_BATCH = 64
DEFAULT_STEPS = 8


@dataclass(slots=True)
class _Member:
    """One item of a batch: what is to be drawn, drawn when first looked at."""

    item: BatchItem
    look: str
    plan: Recipe
    steps: int
    grid: list[Rgba] = field(default_factory=list[Rgba])

    @classmethod
    def of(cls, item: BatchItem, look: str) -> "_Member":
        params = item.params
        seed = params.get("seed")
        return cls(item, look, recipe(str(params["prompt"]), seed), int(params.get("steps", DEFAULT_STEPS)))

    def param(self, name: str, usual: Any) -> Any:
        value = self.item.params.get(name)
        return usual if value is None else value

    def draw(self) -> list[Rgba]:
        """The finished grid."""
        if not self.grid:
            move = posed(self.param("pose", "idle"), self.param("frame", 0), self.param("frames", 1))
            if self.plan.ground:
                self.grid = tiles.draw(self.plan, move.beat, self.look)
            else:
                self.grid = sprite.draw(self.plan, move, self.look)
        return self.grid

    def encode(self, grid: Sequence[Rgba]) -> bytes:
        """A grid as a PNG of the size that the item asks for."""
        encode = picture.tile_png if self.plan.ground else picture.sprite_png
        return encode(grid, self.param("width", 64), self.param("height", 64))

    def preview(self, step: int) -> bytes:
        """The picture as it stands after `step` steps."""
        return self.encode(picture.emerging(self.draw(), min(step, self.steps), self.steps, self.plan.seed))

    def record(self) -> dict[str, Any]:
        """What the words and the seed have become, for the provenance record."""
        plan = self.plan
        return {
            "creature": "tile" if plan.ground else plan.kind,
            **({"ground": plan.ground} if plan.ground else {}),
            "traits": sorted(plan.traits),
            "palette": sprite.tint(self.draw()),
            "pose": self.param("pose", "idle"),
            "frame": self.param("frame", 0),
            "frames": self.param("frames", 1),
            "seed": plan.seed,
            "look": self.look,
            "procedural": True,
        }


class Sprites(Model):
    """The model family `sprites`: procedural pixel art in three looks.

    `options`: `load_s`, the seconds that a load pretends to take, and `step_s`, those that each step does (neither
    has anything to compute that would take as long; a queue is easier to watch when work takes time).
    """

    @classmethod
    def describe(cls, _options: Mapping[str, Any]) -> ModelFamily:
        """The three models and the parameters of an item."""
        return ModelFamily("sprites", [ModelFacts(*facts) for facts in MODELS.items()], _parameters(), MAX_BATCH)

    def __init__(self, model: str, options: Mapping[str, Any]) -> None:
        if model not in MODELS:
            raise ValueError(f"no model {model!r} in the family sprites; it has {', '.join(MODELS)}")
        super().__init__(model, options)
        self.load_s = float(options.get("load_s", LOAD_S))
        self.step_s = float(options.get("step_s", 0.0))

    def load(self) -> None:
        """Wait as long as the options say, and compute the ramps of the named colours."""
        if self.load_s > 0:
            time.sleep(self.load_s)
        for name, tone in (*COLOURS.items(), *FIXED.items()):
            palette.ramp(self.model, name, tone)

    def run(self, batch: Sequence[BatchItem], report: Report) -> Iterator[Output | Failure]:
        """Step 1 for all members, then step 2 for all ..., then one output for each, in order.

        Raises:
            Interrupted: from `report`, when the run is to stop.
        """
        members: list[_Member] = []
        for item in batch:
            try:
                members.append(_Member.of(item, self.model))
            except (KeyError, TypeError, ValueError) as error:
                yield Failure(item.position, FailureKind.INVALID, f"the parameters make no sprite: {error!r}")
        self._sample(members, report)
        for count, member in enumerate(members, start=1):
            report(phase="decoding", step=count, steps=len(members), position=member.item.position)
            yield Output(member.item.position, member.encode(member.draw()), "image/png", ".png", member.record())

    def _sample(self, members: Sequence[_Member], report: Report) -> None:
        steps = max((member.steps for member in members), default=0)
        for step in range(1, steps + 1):
            if self.step_s > 0:
                time.sleep(self.step_s)
            shown = members[(step - 1) % len(members)]  # each member has its turn to be seen
            if report.wants_preview:
                preview = shown.preview(step)
                report(phase="sampling", step=step, steps=steps, preview=preview, position=shown.item.position)
            else:
                report(phase="sampling", step=step, steps=steps)

    def unload(self) -> None:
        """Give the tables back."""
        palette.ramp.cache_clear()
        palette.rgb.cache_clear()


def _parameters() -> list[Parameter]:
    return [
        Parameter("prompt", "string", required=True, help='What to draw: "a tiny teal dragon", "stone tile" ...'),
        Parameter(
            "seed", "integer", minimum=0, maximum=SEED_LIMIT - 1, help="Varies details; from the prompt if absent"
        ),
        Parameter("width", "integer", 64, 16, 512, help="Pixels"),
        Parameter("height", "integer", 64, 16, 512, help="Pixels"),
        Parameter("steps", "integer", DEFAULT_STEPS, 1, 200, help="Steps in which the picture emerges"),
        Parameter("pose", "string", "idle", choices=list(POSES), help="What the creature does"),
        Parameter("frame", "integer", 0, 0, 63, help="Which frame of the loop"),
        Parameter("frames", "integer", 1, 1, 64, help="How many frames the loop has"),
    ]
