"""What the nodes do that load models, encode prompts, sample and decode: pictures made of nothing but a text's hash."""

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from PIL import Image
from tests.fakes.comfyui import stoker_nodes
from tests.fakes.comfyui.files import read_model
from tests.fakes.comfyui.vram import Vram
from tests.fakes.comfyui.work import Result, Work
from tests.fakes.comfyui.work_images import Batch
from tests.fakes.comfyui.work_tests import OutOfMemoryError
from tests.fakes.nvml.shared import Full

_DRAWING = re.compile("ancestral|sde|ddpm|lcm|seeds")
"""Samplers that draw noise at each step, for the whole batch."""
_BLOCKS = 8  # a decoded picture is 8 by 8 blocks of colour


class SafetensorError(Exception):
    """A file that is no model."""


SafetensorError.__module__ = "safetensors._safetensors_rust"


@dataclass(frozen=True)
class Latent:
    """What is sampled: its size in pixels, and for each element a text that says how it came about.

    `places` are those of the elements in the batch that they were taken from.
    """

    width: int
    height: int
    made_from: tuple[str, ...]
    places: tuple[int, ...] = ()


def _load_checkpoint(work: Work, ckpt_name: str) -> Result:
    path = work.folders.models / "checkpoints" / ckpt_name
    work.load()
    try:
        tensors = read_model(path)
    except ValueError as error:
        raise SafetensorError(f"Error while deserializing header: {error}") from error
    if "checkpoint" not in tensors:
        raise RuntimeError(f"ERROR: Could not detect model type of: {path}\n")
    try:
        Vram(work.pace).load(ckpt_name)
    except Full as error:
        raise OutOfMemoryError(f"Allocation on device failed: {error}") from error
    return Result((f"model {ckpt_name}", f"clip {ckpt_name}", f"vae {ckpt_name}"))


def _load_vae(work: Work, vae_name: str) -> Result:
    work.load()
    return Result((f"vae {vae_name}",))


def _load_upscaler(work: Work, model_name: str) -> Result:
    work.load()
    return Result((f"upscaler {model_name}",))


def _load_lora(_: Work, model: str, clip: str, lora_name: str, strength_model: float, strength_clip: float) -> Result:
    return Result((f"{model} + {lora_name}:{strength_model}", f"{clip} + {lora_name}:{strength_clip}"))


def _load_lora_model_only(_: Work, model: str, lora_name: str, strength_model: float) -> Result:
    return Result((f"{model} + {lora_name}:{strength_model}",))


def _set_last_layer(_: Work, clip: str, stop_at_clip_layer: int) -> Result:
    return Result((f"{clip} to {stop_at_clip_layer}",))


def _encode_text(work: Work, text: str, clip: str) -> Result:
    if work.pace.unreadable and work.pace.unreadable in text:
        raise ValueError("this text can't be encoded")
    return Result((f"{text!r} by {clip}",))


def _empty_latent(_: Work, width: int, height: int, batch_size: int) -> Result:
    return Result((Latent(width // 8 * 8, height // 8 * 8, ("empty",) * batch_size),))


def _encode_image(_: Work, pixels: Batch, vae: str) -> Result:
    width, height = pixels[0].size
    return Result((Latent(width // 8 * 8, height // 8 * 8, tuple(f"{_digest(each)} by {vae}" for each in pixels)),))


def _encode_for_inpaint(work: Work, pixels: Batch, vae: str, mask: Image.Image, grow_mask_by: int) -> Result:
    latent: Latent = _encode_image(work, pixels, vae).values[0]
    return Result((_noted(latent, f"masked by {_digest(mask)} grown by {grow_mask_by}"),))


def _set_noise_mask(_: Work, samples: Latent, mask: Image.Image) -> Result:
    return Result((_noted(samples, f"masked by {_digest(mask)}"),))


def _upscale_latent(_: Work, samples: Latent, width: int, height: int, **__: Any) -> Result:
    size = {"width": width or samples.width, "height": height or samples.height}
    return Result((replace(samples, **size),))


def _upscale_latent_by(_: Work, samples: Latent, scale_by: float, **__: Any) -> Result:
    size = {"width": round(samples.width * scale_by), "height": round(samples.height * scale_by)}
    return Result((replace(samples, **size),))


def _latent_from_batch(_: Work, samples: Latent, batch_index: int, length: int) -> Result:
    first = min(batch_index, len(samples.made_from) - 1)
    places = samples.places or tuple(range(len(samples.made_from)))
    taken = slice(first, first + length)
    return Result((replace(samples, made_from=samples.made_from[taken], places=places[taken]),))


def _repeat_latent(_: Work, samples: Latent, amount: int) -> Result:
    return Result((replace(samples, made_from=samples.made_from * amount, places=()),))


def _sample(work: Work, latent_image: Latent, steps: int, **options: Any) -> Result:
    """Take all steps; what comes out depends on every input, and without the node pack on the place in the batch."""
    images = len(latent_image.made_from)
    places = latent_image.places or range(images)
    draws = _DRAWING.search(options["sampler_name"])
    each = stoker_nodes.alone(options, images) or [
        options | {"place": place} | ({"batch": images} if images > 1 and draws else {}) for place in places
    ]
    _check_memory(work, images)
    notes = [json.dumps([steps, {"place": 0, **one}], sort_keys=True) for one in each]
    made_from = tuple(f"{one}, {note}" for one, note in zip(latent_image.made_from, notes, strict=True))
    latent = replace(latent_image, made_from=made_from)
    for number in range(1, steps + 1):
        work.gate.pause(work.pace.step_s)
        work.step(number, steps, lambda number=number: _picture(replace(latent, width=8, height=8), 0, f"{number}"))
        if work.pace.poison and any(work.pace.poison in note for note in notes):
            raise RuntimeError("a value is not a number")
    return Result((latent,))


def _check_memory(work: Work, images: int) -> None:
    if 0 < work.pace.most_images < images:
        raise OutOfMemoryError(f"Allocation on device 0 would exceed allowed memory: {images} images.")


def _decode(_: Work, samples: Latent, vae: str) -> Result:
    return Result(([_picture(samples, number, vae) for number in range(len(samples.made_from))],))


DOES: dict[str, Callable[..., Result]] = {
    "CheckpointLoaderSimple": _load_checkpoint,
    "VAELoader": _load_vae,
    "UpscaleModelLoader": _load_upscaler,
    "LoraLoader": _load_lora,
    "LoraLoaderModelOnly": _load_lora_model_only,
    "CLIPSetLastLayer": _set_last_layer,
    "CLIPTextEncode": _encode_text,
    "EmptyLatentImage": _empty_latent,
    "VAEEncode": _encode_image,
    "VAEEncodeForInpaint": _encode_for_inpaint,
    "SetLatentNoiseMask": _set_noise_mask,
    "LatentUpscale": _upscale_latent,
    "LatentUpscaleBy": _upscale_latent_by,
    "LatentFromBatch": _latent_from_batch,
    "RepeatLatentBatch": _repeat_latent,
    "KSampler": _sample,
    "KSamplerAdvanced": _sample,
    "VAEDecode": _decode,
}


def _noted(latent: Latent, note: str) -> Latent:
    return replace(latent, made_from=tuple(f"{each}, {note}" for each in latent.made_from))


def _digest(image: Image.Image) -> str:
    return hashlib.sha256(image.tobytes()).hexdigest()


def _picture(latent: Latent, number: int, vae: str) -> Image.Image:
    seed = f"{latent.made_from[number]} {vae}".encode()
    colours = hashlib.shake_256(seed).digest(_BLOCKS * _BLOCKS * 3)
    picture = Image.frombytes("RGB", (_BLOCKS, _BLOCKS), colours)
    return picture.resize((latent.width, latent.height), Image.Resampling.NEAREST)
