"""Puts the prompts of several items into one conditioning, so that each image of a batch has its own."""

import importlib
import math
from collections.abc import Sequence
from typing import Any

# Only the server has these, and it is the server that loads this file.
_torch = importlib.import_module("torch")
_unet = importlib.import_module("comfy.ldm.modules.diffusionmodules.openaimodel")

Conditioning = list[list[Any]]
"""As ComfyUI has it: pairs of a tensor, one row a token, and a dict of what goes with it."""

_MOST_REPEATS = 4
"""ComfyUI itself does not repeat a prompt more often to make it as long as another."""


def stack(items: Sequence[Conditioning], model: Any) -> Conditioning:
    """One conditioning whose element i is that of item i.

    Raises:
        ValueError: They differ in more than their texts, or have different lengths and the model is no U-Net.
    """
    if len({len(item) for item in items}) != 1:
        raise ValueError("the items have different numbers of prompts")
    repeats = isinstance(model.model.diffusion_model, _unet.UNetModel)
    return [
        _stack_one([one[0] for one in pairs], [one[1] for one in pairs], repeats) for pairs in zip(*items, strict=True)
    ]


def _stack_one(tensors: list[Any], extras: list[dict[str, Any]], repeats: bool) -> list[Any]:
    if any(extra.keys() != extras[0].keys() for extra in extras):
        raise ValueError("the prompts of the items are of different kinds")
    together = {name: _together(name, [extra[name] for extra in extras]) for name in extras[0]}
    return [_cat("prompt", _equally_long(tensors) if repeats else tensors), together]


def _together(name: str, values: list[Any]) -> Any:
    if _torch.is_tensor(values[0]):
        return _cat(name, values)
    if any(value is not values[0] and value != values[0] for value in values):
        raise ValueError(f"the items differ in {name}, which a batch has only once")
    return values[0]


def _cat(name: str, tensors: list[Any]) -> Any:
    shapes = {tuple(tensor.shape) for tensor in tensors}
    if len(shapes) != 1 or next(iter(shapes))[0] != 1:
        raise ValueError(f"the items can't share a run: {name} has the shapes {sorted(shapes)}")
    return _torch.cat(tensors)


def _equally_long(tensors: list[Any]) -> list[Any]:
    """Repeat shorter ones. To cross-attention, where the order of tokens means nothing, that makes no difference."""
    longest = math.lcm(*(tensor.shape[1] for tensor in tensors))
    if longest > _MOST_REPEATS * min(tensor.shape[1] for tensor in tensors):
        return tensors
    return [tensor.repeat(1, longest // tensor.shape[1], 1) for tensor in tensors]
