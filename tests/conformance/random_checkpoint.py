"""Random weights in the shapes that a ComfyUI server accepts, for its real loaders and samplers to run on."""

import argparse
import json
import math
import random
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

Shapes = dict[str, tuple[int, ...]]

CHANNELS = 320
CONTEXT = 768
EMBEDDING = 4 * CHANNELS
LEVELS = (1, 2, 4, 4)
"""How many times the channels each level of the full UNet has."""
VOCABULARY = 49408
VAE_CHANNELS = 64
UPSCALER_CHANNELS = 16
BLOCK = 65537  # a prime, so that the rows of no tensor repeat each other


def write_models(models: Path) -> None:
    """Write two Stable Diffusion 1.5 checkpoints, a VAE, a LoRA and a fourfold upscaler into a model folder."""
    write_safetensors(models / "checkpoints/random_sd15.safetensors", checkpoint(), seed=1)
    write_safetensors(models / "checkpoints/sub/random_b.safetensors", checkpoint(), seed=2)
    write_safetensors(models / "vae/random_vae.safetensors", _vae(""), seed=3)
    write_safetensors(models / "loras/random_lora.safetensors", _lora(), seed=4)
    write_safetensors(models / "upscale_models/random_x4.safetensors", _upscaler(), seed=5)


def checkpoint(unet: Shapes | None = None) -> Shapes:
    """A whole checkpoint, by default with the small UNet."""
    return {**(unet or _unet()), **_text_encoder(), **_vae("first_stage_model.")}


def write_safetensors(path: Path, shapes: Shapes, seed: int) -> None:
    """Write a safetensors file of half floats; zeros become holes, so that a large model takes little of the disk.

    The layout is that of https://huggingface.co/docs/safetensors: a length, a JSON header, the tensors.
    """
    header: dict[str, object] = {}
    end = 0
    for name, shape in shapes.items():
        start, end = end, end + 2 * math.prod(shape)
        header[name] = {"dtype": "F16", "shape": shape, "data_offsets": (start, end)}
    encoded = json.dumps(header).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(encoded)) + encoded)
        noise = _Noise(seed)
        for name, shape in shapes.items():
            _write_tensor(file, name, shape, noise)
        file.truncate()


def _write_tensor(file: BinaryIO, name: str, shape: tuple[int, ...], noise: "_Noise") -> None:
    count = math.prod(shape)
    is_weight = name.endswith("weight")
    if is_weight and len(shape) == 1:  # of a normalisation
        file.write(struct.pack("<e", 1.0) * count)
    elif is_weight and ".encoder.layers." not in name:
        for chunk in noise.chunks(count, 1 / math.sqrt(math.prod(shape[1:]))):
            file.write(chunk)
    else:
        file.seek(2 * count, 1)


class _Noise:
    """Normally distributed half floats, cheap by the hundred million: one block, read from a random place on."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._normal = [self._random.gauss(0, 1) for _ in range(BLOCK)]
        self._blocks: dict[float, bytes] = {}

    def chunks(self, count: int, deviation: float) -> Iterator[bytes]:
        if deviation not in self._blocks:
            self._blocks[deviation] = struct.pack(f"<{BLOCK}e", *(deviation * value for value in self._normal))
        block = self._blocks[deviation]
        start = self._random.randrange(BLOCK)
        while count:
            size = min(count, BLOCK - start)
            yield block[2 * start : 2 * (start + size)]
            count, start = count - size, 0


def _unet() -> Shapes:
    """A UNet with the widths of Stable Diffusion 1.5, by which it is recognised, but of a single level."""
    blocks = {
        **_linear("time_embed.0", EMBEDDING, CHANNELS),
        **_linear("time_embed.2", EMBEDDING, EMBEDDING),
        **_convolution("input_blocks.0.0", CHANNELS, 4),
        **_residual("input_blocks.1.0", CHANNELS),
        **_transformer("input_blocks.1.1"),
        **_residual("middle_block.0", CHANNELS),
        **_transformer("middle_block.1"),
        **_residual("middle_block.2", CHANNELS),
        **_norm("out.0", CHANNELS),
        **_convolution("out.2", 4, CHANNELS),
    }
    for block in range(2):
        blocks |= _residual(f"output_blocks.{block}.0", 2 * CHANNELS) | _transformer(f"output_blocks.{block}.1")
    return {f"model.diffusion_model.{name}": shape for name, shape in blocks.items()}


def full_unet() -> Shapes:
    """The UNet of Stable Diffusion 1.5 in its full size: four levels, two blocks each, attention in the upper three.

    Source: Rombach et al., High-Resolution Image Synthesis with Latent Diffusion Models (2022), and its configuration.
    """
    blocks = {
        **_linear("time_embed.0", EMBEDDING, CHANNELS),
        **_linear("time_embed.2", EMBEDDING, EMBEDDING),
        **_convolution("input_blocks.0.0", CHANNELS, 4),
    }
    width, skips, number = CHANNELS, [CHANNELS], 1
    for level, times in enumerate(LEVELS):
        for _ in range(2):
            blocks |= _block(f"input_blocks.{number}", width, times * CHANNELS, attends=level < 3)
            width, number = times * CHANNELS, number + 1
            skips.append(width)
        if level < 3:
            blocks |= _convolution(f"input_blocks.{number}.0.op", width, width)
            number += 1
            skips.append(width)
    blocks |= _residual("middle_block.0", width, width) | _transformer("middle_block.1", width)
    blocks |= _residual("middle_block.2", width, width)
    number = 0
    for level, times in reversed(list(enumerate(LEVELS))):
        for part in range(3):
            blocks |= _block(f"output_blocks.{number}", width + skips.pop(), times * CHANNELS, attends=level < 3)
            width = times * CHANNELS
            if level and part == 2:
                blocks |= _convolution(f"output_blocks.{number}.{2 if level < 3 else 1}.conv", width, width)
            number += 1
    blocks |= _norm("out.0", CHANNELS) | _convolution("out.2", 4, CHANNELS)
    return {f"model.diffusion_model.{name}": shape for name, shape in blocks.items()}


def _block(name: str, taken: int, given: int, *, attends: bool) -> Shapes:
    return _residual(f"{name}.0", taken, given) | (_transformer(f"{name}.1", given) if attends else {})


def _residual(name: str, taken: int, given: int = CHANNELS) -> Shapes:
    return {
        **_norm(f"{name}.in_layers.0", taken),
        **_convolution(f"{name}.in_layers.2", given, taken),
        **_linear(f"{name}.emb_layers.1", given, EMBEDDING),
        **_norm(f"{name}.out_layers.0", given),
        **_convolution(f"{name}.out_layers.3", given, given),
        **(_convolution(f"{name}.skip_connection", given, taken, size=1) if taken != given else {}),
    }


def _transformer(name: str, width: int = CHANNELS) -> Shapes:
    block = f"{name}.transformer_blocks.0"
    shapes = {
        **_norm(f"{name}.norm", width),
        **_convolution(f"{name}.proj_in", width, width, size=1),
        **_linear(f"{block}.ff.net.0.proj", 8 * width, width),
        **_linear(f"{block}.ff.net.2", width, 4 * width),
        **_convolution(f"{name}.proj_out", width, width, size=1),
    }
    for norm in ("norm1", "norm2", "norm3"):
        shapes |= _norm(f"{block}.{norm}", width)
    for attention, context in (("attn1", width), ("attn2", CONTEXT)):
        shapes |= _linear(f"{block}.{attention}.to_out.0", width, width)
        for part, taken in (("to_q", width), ("to_k", context), ("to_v", context)):
            shapes[f"{block}.{attention}.{part}.weight"] = (width, taken)
    return shapes


def _text_encoder() -> Shapes:
    """CLIP ViT-L/14, whose layers are zero: its words then reach the UNet as they are embedded."""
    shapes: Shapes = {
        "embeddings.token_embedding.weight": (VOCABULARY, CONTEXT),
        "embeddings.position_embedding.weight": (77, CONTEXT),
        **_norm("final_layer_norm", CONTEXT),
    }
    for layer in range(12):
        name = f"encoder.layers.{layer}"
        shapes |= _norm(f"{name}.layer_norm1", CONTEXT) | _norm(f"{name}.layer_norm2", CONTEXT)
        for part in ("q", "k", "v", "out"):
            shapes |= _linear(f"{name}.self_attn.{part}_proj", CONTEXT, CONTEXT)
        shapes |= _linear(f"{name}.mlp.fc1", 4 * CONTEXT, CONTEXT) | _linear(f"{name}.mlp.fc2", CONTEXT, 4 * CONTEXT)
    return {f"cond_stage_model.transformer.text_model.{name}": shape for name, shape in shapes.items()}


def _vae(prefix: str) -> Shapes:
    """The tiny autoencoder TAESD, which a server takes for the VAE of any checkpoint."""
    shapes = {
        **_convolution("taesd_encoder.0", VAE_CHANNELS, 3),
        **_convolution("taesd_encoder.14", 4, VAE_CHANNELS),
        **_convolution("taesd_decoder.1", VAE_CHANNELS, 4),
        **_convolution("taesd_decoder.19", 3, VAE_CHANNELS),
    }
    for half, blocks, resizing in (
        ("taesd_encoder", (1, 3, 4, 5, 7, 8, 9, 11, 12, 13), (2, 6, 10)),
        ("taesd_decoder", (3, 4, 5, 8, 9, 10, 13, 14, 15, 18), (7, 12, 17)),
    ):
        for block in blocks:
            for layer in (0, 2, 4):
                shapes |= _convolution(f"{half}.{block}.conv.{layer}", VAE_CHANNELS, VAE_CHANNELS)
        for layer in resizing:
            shapes[f"{half}.{layer}.weight"] = (VAE_CHANNELS, VAE_CHANNELS, 3, 3)
    return {prefix + name: shape for name, shape in shapes.items()}


def _lora(rank: int = 4) -> Shapes:
    """A LoRA on the queries of the UNet's middle attention."""
    name = "lora_unet_middle_block_1_transformer_blocks_0_attn2_to_q"
    return {f"{name}.lora_up.weight": (CHANNELS, rank), f"{name}.lora_down.weight": (rank, CHANNELS)}


def _upscaler() -> Shapes:
    """ESRGAN with a single dense block."""
    shapes = _convolution("model.0", UPSCALER_CHANNELS, 3)
    for dense in (1, 2, 3):
        for layer in range(5):
            given = 32 if layer < 4 else UPSCALER_CHANNELS
            shapes |= _convolution(f"model.1.sub.0.RDB{dense}.conv{layer + 1}.0", given, UPSCALER_CHANNELS + 32 * layer)
    for place in ("model.1.sub.1", "model.3", "model.6", "model.8"):
        shapes |= _convolution(place, UPSCALER_CHANNELS, UPSCALER_CHANNELS)
    return shapes | _convolution("model.10", 3, UPSCALER_CHANNELS)


def _linear(name: str, given: int, taken: int) -> Shapes:
    return {f"{name}.weight": (given, taken), f"{name}.bias": (given,)}


def _convolution(name: str, given: int, taken: int, size: int = 3) -> Shapes:
    return {f"{name}.weight": (given, taken, size, size), f"{name}.bias": (given,)}


def _norm(name: str, channels: int) -> Shapes:
    return {f"{name}.weight": (channels,), f"{name}.bias": (channels,)}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", type=Path, help="the model folder of the server")
    write_models(parser.parse_args().models)
