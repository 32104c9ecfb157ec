"""What the adapters to model libraries have in common: their options, the library they need, where they compute."""

import os
import sys
from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta, Struct

_ON_PYPI = {"PIL": "Pillow", "sentence_transformers": "sentence-transformers"}
"""Packages that are called otherwise there."""
_WEIGHTS = ("*.safetensors", "*.bin", "*.onnx")
"""Files that hold weights; a folder that has the first has the same in the others, if at all."""


class Settings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Options that every adapter takes."""

    path: str
    """The folder of the model, or with `download` its name on the Hugging Face hub."""
    download: bool = False
    """Fetch what is not on this machine; by default nothing is looked up anywhere."""
    device: str = ""
    """`cuda`, `cuda:1`, `mps`, `cpu`; by default a GPU if torch sees one."""
    dtype: str = ""
    """`float16`, `bfloat16` or `float32`; by default what suits the device."""
    summary: str = ""
    """What the model is good for, as `stoker models` says it."""
    max_batch: Annotated[int, Meta(ge=1, le=1024)] = 8
    """Items in one call."""


S = TypeVar("S", bound=Settings)


def settings(options: Mapping[str, Any], kind: type[S], *packages: str) -> S:
    """The options of a model, checked before anything heavy is imported.

    Raises:
        ValueError: An option is unknown or makes no sense, or the model is not there.
        ImportError: One of the `packages` is not installed where this runs.
    """
    try:
        found = msgspec.convert(dict(options), kind)
    except msgspec.ValidationError as error:
        known = ", ".join(field.encode_name for field in msgspec.structs.fields(kind))
        raise ValueError(f"options: {error}; known: {known}") from None
    if missing := [_ON_PYPI.get(package, package) for package in packages if find_spec(package) is None]:
        raise ImportError(
            f"the worker's environment lacks what `{sys.executable} -m pip install {' '.join(missing)}` brings"
        )
    if found.download:
        return found
    folder = Path(found.path).expanduser()
    if not folder.is_dir():
        raise ValueError(f"options: path = {found.path!r} is no folder; download = true takes names of the hub")
    return msgspec.structs.replace(found, path=str(folder))


def library(name: str) -> Any:
    """A library of models, which need not draw bars into the log while it reads them."""
    os.environ.setdefault("TQDM_DISABLE", "1")
    return import_module(name)


def bytes_of_weights(path: str) -> int | None:
    """What the weights of a folder take on disk, and about that in memory; None: it has none."""
    for pattern in _WEIGHTS:
        if sizes := [file.stat().st_size for file in Path(path).rglob(pattern)]:
            return sum(sizes)
    return None


def word_for_dtype(package: str, *, since: tuple[int, int]) -> str:
    """What a release of the package calls a data type: `dtype`, or as it was before, `torch_dtype`."""
    major, minor, *_ = version(package).split(".")
    return "dtype" if (int(major), int(minor)) >= since else "torch_dtype"


def place(torch: Any, device: str) -> str:
    """The device that is meant."""
    if device:
        return device
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"
