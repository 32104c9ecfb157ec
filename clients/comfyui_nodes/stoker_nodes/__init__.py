"""Nodes for ComfyUI with which Stoker makes several items, each with its own seed and prompt, in one sampler run."""

from typing import Any, ClassVar

from .noise import with_item_noise
from .prompts import Conditioning, stack

MOST_ITEMS = 64


class _Node:
    """What the nodes share."""

    CATEGORY = "stoker"
    FUNCTION = "run"
    REQUIRED: ClassVar[dict[str, Any]] = {}
    OPTIONAL: ClassVar[dict[str, Any]] = {}

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802 - the server calls it so
        return {"required": {"model": ("MODEL",), **cls.REQUIRED}, "optional": cls.OPTIONAL}


class StokerItemNoise(_Node):
    """Lets a sampler make one image for each seed, exactly as it does alone; seeds are numbers with commas between."""

    RETURN_TYPES = ("MODEL",)
    REQUIRED: ClassVar[dict[str, Any]] = {"seeds": ("STRING", {"default": "0"})}

    def run(self, model: Any, seeds: str) -> tuple[Any]:
        return (with_item_noise(model, [int(seed) for seed in seeds.split(",")]),)


class StokerItemPrompts(_Node):
    """Puts the prompts of several items into one conditioning, `item_0` for the first image of the batch."""

    RETURN_TYPES = ("CONDITIONING",)
    REQUIRED: ClassVar[dict[str, Any]] = {"item_0": ("CONDITIONING",)}
    OPTIONAL: ClassVar[dict[str, Any]] = {f"item_{number}": ("CONDITIONING",) for number in range(1, MOST_ITEMS)}

    def run(self, model: Any, **items: Conditioning) -> tuple[Conditioning]:
        return (stack([items[f"item_{number}"] for number in range(len(items))], model),)


NODE_CLASS_MAPPINGS = {node.__name__: node for node in (StokerItemNoise, StokerItemPrompts)}
NODE_DISPLAY_NAME_MAPPINGS = {
    "StokerItemNoise": "Noise of several items",
    "StokerItemPrompts": "Prompts of several items",
}
