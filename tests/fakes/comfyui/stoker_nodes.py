"""Stoker's own node pack, as the fake has it: what is sampled with it tells of each image as if it were made alone."""

from dataclasses import dataclass
from typing import Any

from tests.fakes.comfyui.work import Result, Work

MOST_ITEMS = 64
NAMES = ("StokerItemNoise", "StokerItemPrompts")

_WORDS = 75  # in a chunk of tokens, as if each were one
_MOST_REPEATS = 4
_ADAPTIVE = "dpm_adaptive"


@dataclass(frozen=True)
class ItemNoise:
    """A model with which a sampler makes one image for each seed."""

    model: str
    seeds: tuple[int, ...]


@dataclass(frozen=True)
class ItemPrompts:
    """A conditioning with one prompt for each image."""

    items: tuple[str, ...]


def _with_item_noise(_: Work, model: str, seeds: str) -> Result:
    return Result((ItemNoise(model, tuple(int(seed) for seed in seeds.split(","))),))


def _stack(_: Work, model: str, **items: str) -> Result:
    del model
    prompts = tuple(items[f"item_{number}"] for number in range(len(items)))
    longest, shortest = max(map(_chunks, prompts)), min(map(_chunks, prompts))
    if longest % shortest or longest > _MOST_REPEATS * shortest:
        shapes = sorted({(1, 77 * _chunks(prompt), 768) for prompt in prompts})
        raise ValueError(f"the items can't share a run: prompt has the shapes {shapes}")
    return Result((ItemPrompts(prompts),))


def alone(options: dict[str, Any], images: int) -> list[dict[str, Any]] | None:
    """For each image what its sampler would be given if it were made alone; None: nobody has asked for that.

    Raises:
        ValueError: The pack refuses to sample so.
    """
    model = options["model"]
    if not isinstance(model, ItemNoise):
        return None
    if options["sampler_name"] == _ADAPTIVE:
        raise ValueError(f"the sampler {_ADAPTIVE} can't make several items in one run")
    if len(model.seeds) != images:
        raise ValueError(f"{len(model.seeds)} items need as many latent images, not {images}")
    name = "noise_seed" if "noise_seed" in options else "seed"
    own = [{**options, "model": model.model, name: seed} for seed in model.seeds]
    for number, one in enumerate(own):
        one |= {key: prompt.items[number] for key, prompt in options.items() if isinstance(prompt, ItemPrompts)}
    return own


def _chunks(prompt: str) -> int:
    return max(1, -(-len(prompt.split()) // _WORDS))


DOES = {"StokerItemNoise": _with_item_noise, "StokerItemPrompts": _stack}
