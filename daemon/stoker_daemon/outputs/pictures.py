"""What people are shown of each file that a job made, as its record tells it."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import PurePosixPath
from typing import Any

import msgspec
from msgspec import Struct

from stoker_daemon.outputs import png
from stoker_daemon.outputs.disk import Disk
from stoker_daemon.outputs.layout import record_beside
from stoker_protocol.jobs import Artifact

_MAX_RECORD = 1 << 20
_PNG_HEADER = 33


class Picture(Struct, frozen=True):
    """A file and what made it; what its record does not say is empty. `size` is known of PNG files only."""

    path: PurePosixPath
    record_path: PurePosixPath
    number: str
    media_type: str
    bytes: int
    prompt: str = ""
    custom_id: str = ""
    seed: str = ""
    model: str = ""
    size: png.Size | None = None

    @property
    def is_image(self) -> bool:
        """Whether a browser may show it."""
        return self.media_type.startswith("image/")

    @property
    def caption(self) -> str:
        """How it is called: by its prompt, or what else its client called it."""
        return self.prompt or self.custom_id


class Tile(Struct, frozen=True):
    """A picture on a contact sheet: its path below the data folder, its number and what it is called."""

    path: str
    number: str
    caption: str


class Sheet(Struct, frozen=True):
    """A contact sheet: a title, a line of facts below it, and the tiles in their order."""

    title: str
    facts: str
    tiles: list[Tile]


class _Record(Struct, frozen=True):
    params: dict[str, Any] = {}
    record: dict[str, Any] = {}
    custom_id: object = None
    seed: object = None
    model: object = None


def read_pictures(disk: Disk, artifacts: Sequence[Artifact]) -> list[Picture]:
    """The artifacts in their order. A record that is gone or damaged only means that less is known."""
    return [_read(disk, artifact) for artifact in artifacts]


def _read(disk: Disk, artifact: Artifact) -> Picture:
    path = PurePosixPath(artifact.path)
    record = _record(disk, record_beside(path))
    return Picture(
        path=path,
        record_path=record_beside(path),
        number=str(artifact.index) if artifact.output == 0 else f"{artifact.index}.{artifact.output}",
        media_type=artifact.media_type,
        bytes=artifact.bytes,
        prompt=_text(record.params.get("prompt")),
        custom_id=_text(record.custom_id),
        seed=_text(record.record.get("seed") if record.seed is None else record.seed),
        model=_text(record.model),
        size=_size(disk, path) if artifact.media_type == "image/png" else None,
    )


def _record(disk: Disk, path: PurePosixPath) -> _Record:
    with suppress(OSError, msgspec.DecodeError):
        return msgspec.json.decode(disk.read(path, 0, _MAX_RECORD), type=_Record)
    return _Record()


def _size(disk: Disk, path: PurePosixPath) -> png.Size | None:
    with suppress(OSError, png.MalformedPng):
        return png.size_of(disk.read(path, 0, _PNG_HEADER))
    return None


def _text(value: object) -> str:
    return "" if value is None else " ".join(str(value).split())
