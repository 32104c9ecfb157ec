"""Puts the node pack with which several items share a sampler run into a ComfyUI."""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

PACK = "comfyui_nodes.stoker_nodes"
FOLDER = "custom_nodes"


@dataclass(frozen=True, slots=True)
class Installed:
    """Where the pack is, and the files that had to be written or taken away for it."""

    path: Path
    changed: list[str]


def install(path: Path) -> Installed:
    """Bring the pack into a ComfyUI, or into its folder of node packs, as this version of Stoker has it.

    Raises:
        NotADirectoryError: There is no ComfyUI.
        OSError: The files can't be written.
    """
    source = _source()
    target = _folder(path) / source.name
    files = {file.name: file.read_bytes() for file in sorted(source.glob("*.py"))}
    target.mkdir(exist_ok=True)
    there = {file.name: file.read_bytes() for file in sorted(target.glob("*.py"))}
    changed = sorted(name for name in files | there if files.get(name) != there.get(name))
    for name in changed:
        if name in files:
            (target / name).write_bytes(files[name])
        else:
            (target / name).unlink()
    return Installed(target, changed)


def _source() -> Path:
    """The pack is found and not imported: it needs what only a ComfyUI has."""
    spec = find_spec(PACK)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


def _folder(path: Path) -> Path:
    folder = path if path.name == FOLDER else path / FOLDER
    if not folder.is_dir():
        raise NotADirectoryError(f"{path} is no ComfyUI: there is no folder {folder}")
    return folder
