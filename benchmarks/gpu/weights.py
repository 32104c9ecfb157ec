"""Checkpoints of random weights for servers that have none: Stable Diffusion 1.5 in full, or with a small UNet."""

from pathlib import Path

from tests.conformance.random_checkpoint import Shapes, checkpoint, full_unet, write_safetensors

NAMES = ("random_a.safetensors", "random_b.safetensors", "random_c.safetensors")


def write_checkpoints(models: Path, *, small: bool) -> None:
    """Write three of them, unless they are there; two and a quarter GB each, or a third of one if they are small."""
    folder = models / "checkpoints" / ("small" if small else "sd15")
    shapes: Shapes = checkpoint() if small else checkpoint(full_unet())
    for seed, name in enumerate(NAMES, start=11):
        path = folder / name
        if not path.exists():
            write_safetensors(path.with_suffix(".new"), shapes, seed=seed)
            path.with_suffix(".new").replace(path)
