"""The server's folders: where inputs, outputs, temporary files and models lie, and how files are named and found."""

import hashlib
import json
import os
import re
import shutil
import struct
import time
from pathlib import Path
from typing import Any

MODEL_FOLDERS = [
    "checkpoints",
    "configs",
    "loras",
    "vae",
    "text_encoders",
    "diffusion_models",
    "clip_vision",
    "style_models",
    "embeddings",
    "diffusers",
    "vae_approx",
    "controlnet",
    "gligen",
    "upscale_models",
    "latent_upscale_models",
    "custom_nodes",
    "hypernetworks",
    "photomaker",
    "classifiers",
    "model_patches",
    "audio_encoders",
]
_MODELS = {
    "checkpoints/random_sd15.safetensors": "checkpoint",
    "checkpoints/sub/random_b.safetensors": "checkpoint",
    "loras/random_lora.safetensors": "lora",
    "vae/random_vae.safetensors": "vae",
    "upscale_models/random_x4.safetensors": "upscaler",
    "embeddings/rnd_emb.safetensors": "embedding",
}


class Folders:
    """The folders below one directory; temporary files of an earlier server are gone."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self.by_type = {name: self.root / name for name in ("input", "output", "temp")}
        self.models = self.root / "models"
        shutil.rmtree(self.by_type["temp"], ignore_errors=True)
        for folder in self.by_type.values():
            folder.mkdir(parents=True, exist_ok=True)
        if not self.models.exists():
            for name, kind in _MODELS.items():
                write_model(self.models / name, kind)

    def model_names(self, folder: str) -> list[str]:
        """The models in one folder, with sub-folders, sorted."""
        top = self.models / folder
        return sorted(path.relative_to(top).as_posix() for path in top.rglob("*") if path.is_file())

    def annotated(self, name: str) -> Path:
        """The path of an input by its name, which may end in ` [output]` or another folder's name."""
        bare, folder = split_annotation(name)
        return self.by_type[folder or "input"] / bare

    def has_input(self, name: str) -> bool:
        """Whether there is such an input, inside its folder."""
        path = self.annotated(name)
        return is_inside(path, self.by_type[split_annotation(name)[1] or "input"]) and path.is_file()

    def input_state(self, node: dict[str, Any]) -> str:
        """What a node's input files hold, which its result depends on beside its inputs."""
        if node["class_type"] not in ("LoadImage", "LoadImageMask"):
            return ""
        path = self.annotated(node["inputs"]["image"])
        return file_hash(path.read_bytes()) if path.is_file() else ""

    def save_path(self, kind: str, prefix: str, width: int, height: int) -> "SavePath":
        """Where the next files with a prefix go.

        Raises:
            Exception: outside of the folder.
        """
        top = self.by_type[kind]
        prefix = _expand(prefix, width, height)
        subfolder, _, name = prefix.rpartition("/")
        subfolder = os.path.normpath(subfolder or ".")
        folder = top / subfolder
        if not is_inside(folder, top):
            raise Exception(
                "**** ERROR: Saving image outside the output folder is not allowed."
                f"\n full_output_folder: {folder}\n         output_dir: {top}"
            )
        folder.mkdir(parents=True, exist_ok=True)
        return SavePath(folder, name, "" if subfolder == "." else subfolder, kind)

    def count_execution(self, prompt_id: str) -> None:
        """Note, before anything of it runs, that a prompt is executed."""
        with (self.root / "executions.log").open("a", encoding="utf-8") as log:
            log.write(f"{prompt_id}\n")


class SavePath:
    """Names for the files of one save."""

    def __init__(self, folder: Path, name: str, subfolder: str, kind: str) -> None:
        self._folder = folder
        self._name = name
        self._counter = _next_counter(folder, name)
        self._subfolder = subfolder
        self._kind = kind

    def next(self, ending: str) -> tuple[Path, dict[str, str]]:
        """The next path, and how outputs name it."""
        filename = f"{self._name}_{self._counter:05}_.{ending}"
        self._counter += 1
        return self._folder / filename, {"filename": filename, "subfolder": self._subfolder, "type": self._kind}


def is_inside(path: Path, folder: Path) -> bool:
    """Whether a path, all its dots resolved, lies in a folder or is it."""
    return Path(os.path.normpath(path)).is_relative_to(folder)


def split_annotation(name: str) -> tuple[str, str | None]:
    """A name without its ` [output]`, and the folder that this says."""
    for folder in ("output", "input", "temp"):
        if name.endswith(f"[{folder}]"):
            return name.removesuffix(f"[{folder}]").rstrip(), folder
    return name, None


def write_model(path: Path, kind: str, **metadata: str) -> None:
    """Write a safetensors file with one empty tensor, whose name says what kind of model it stands for."""
    tensors = {kind: {"dtype": "F16", "shape": [0], "data_offsets": [0, 0]}}
    header = json.dumps(tensors | ({"__metadata__": metadata} if metadata else {})).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(struct.pack("<Q", len(header)) + header)


def read_model(path: Path) -> dict[str, Any]:
    """The header of a safetensors file: its tensors and its metadata.

    Raises:
        ValueError: it is none.
    """
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + length])


def file_hash(content: bytes) -> str:
    """What tells contents apart."""
    return hashlib.sha256(content).hexdigest()


def _expand(prefix: str, width: int, height: int) -> str:
    now = time.localtime()
    tokens = {
        "width": width,
        "height": height,
        "year": now.tm_year,
        "month": f"{now.tm_mon:02}",
        "day": f"{now.tm_mday:02}",
        "hour": f"{now.tm_hour:02}",
        "minute": f"{now.tm_min:02}",
        "second": f"{now.tm_sec:02}",
    }
    for token, value in tokens.items():
        prefix = prefix.replace(f"%{token}%", str(value))
    return prefix


def _next_counter(folder: Path, name: str) -> int:
    pattern = re.compile(re.escape(name) + r"_(\d+)_?.*")
    taken = [int(found[1]) for path in folder.iterdir() if (found := pattern.fullmatch(path.name))]
    return max(taken, default=0) + 1
