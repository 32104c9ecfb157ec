"""The random models have the form that a server reads."""

import json
import math
import struct
from pathlib import Path
from typing import Any

from tests.conformance.random_checkpoint import Shapes, write_safetensors

SHAPES: Shapes = {"norm.weight": (3,), "conv.weight": (70_000, 2), "conv.bias": (5,), "same.weight": (70_000, 2)}


def test_a_file_holds_what_its_header_says(tmp_path: Path) -> None:
    """Tensors lie where the header says, norms are one, biases zero, weights random, and nothing follows."""
    header, data = read(written(tmp_path / "a", seed=1))
    tensors = {name: data[slice(*entry["data_offsets"])] for name, entry in header.items()}
    assert {name: tuple(entry["shape"]) for name, entry in header.items()} == SHAPES
    assert {name: len(tensor) for name, tensor in tensors.items()} == {
        name: 2 * math.prod(shape) for name, shape in SHAPES.items()
    }
    assert sum(map(len, tensors.values())) == len(data)
    assert struct.unpack("<3e", tensors["norm.weight"]) == (1.0, 1.0, 1.0)
    assert not any(tensors["conv.bias"])
    assert tensors["conv.weight"] != tensors["same.weight"]
    weights = struct.unpack("<140000e", tensors["conv.weight"])
    assert 0.4 < sum(weight * weight for weight in weights) / len(weights) < 0.6, "one over the number of inputs"


def test_a_seed_gives_one_file(tmp_path: Path) -> None:
    """The same seed gives the same bytes, another seed others."""
    first, again, other = (written(tmp_path / name, seed).read_bytes() for name, seed in [("a", 1), ("b", 1), ("c", 2)])
    assert first == again
    assert first != other


def written(path: Path, seed: int) -> Path:
    """A small model."""
    write_safetensors(path, SHAPES, seed)
    return path


def read(path: Path) -> tuple[dict[str, Any], bytes]:
    """The header of a safetensors file, and what follows."""
    content = path.read_bytes()
    (length,) = struct.unpack_from("<Q", content)
    return json.loads(content[8 : 8 + length]), content[8 + length :]
