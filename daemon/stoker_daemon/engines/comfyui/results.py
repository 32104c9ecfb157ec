"""The outputs of a prompt: which there are by its history entry, and their bytes, checked."""

import asyncio
import mimetypes
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from stoker_daemon.engines.comfyui.answers import Entry
from stoker_daemon.engines.comfyui.server import Faulty, Server, TooLarge

TRIES = 3
RETRY_S = 0.2
_CHECKED_ASIDE = 1 << 20
"""Bytes from which on a file is checked in a thread."""
_PNG = b"\x89PNG\r\n\x1a\n"
_MEDIA_TYPES = {
    ".png": "image/png",
    ".webp": "image/webp",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".gif": "image/gif",
    ".mp4": "video/mp4",
    ".webm": "video/webm",
    ".mkv": "video/x-matroska",
    ".flac": "audio/flac",
    ".mp3": "audio/mpeg",
    ".opus": "audio/ogg",
    ".wav": "audio/wav",
    ".glb": "model/gltf-binary",
    ".json": "application/json",
}


@dataclass(frozen=True, slots=True)
class Place:
    """A file of the server's."""

    filename: str
    subfolder: str
    folder: Literal["output", "temp"]
    node: str

    @property
    def suffix(self) -> str:
        """With its dot."""
        return Path(self.filename).suffix.lower()

    @property
    def media_type(self) -> str:
        """By its name."""
        return _MEDIA_TYPES.get(self.suffix) or mimetypes.guess_type(self.filename)[0] or "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Text:
    """A text that a node gave out."""

    text: str
    node: str


def places_of(entry: Entry) -> list[Place | Text]:
    """What a prompt made, in the order of its nodes: saved files and texts, or where there are none, previews."""
    found = [made for node, output in sorted(entry.outputs.items(), key=_node_order) for made in _of_node(node, output)]
    saved = [made for made in found if isinstance(made, Text) or made.folder == "output"]
    return saved or found


class Results:
    """Fetches outputs over HTTP, or from `output_dir` if that is the server's output folder seen from here."""

    def __init__(self, server: Server, output_dir: Path | None, max_bytes: int) -> None:
        self._server = server
        self._output_dir = output_dir
        self._max_bytes = max_bytes

    async def fetch(self, place: Place) -> bytes:
        """The bytes of an output; what comes damaged is asked for again.

        Raises:
            Faulty: The server, or the folder, does not give it whole.
            TooLarge: It has more bytes than are allowed.
            Unreachable: The server does not answer.
        """
        for left in reversed(range(TRIES)):
            try:
                data = await self._read(place)
                await _check(data, place)
            except Faulty:
                if not left:
                    raise
                await asyncio.sleep(RETRY_S)
            else:
                return data
        raise AssertionError  # the last try returns or raises

    async def delete(self, place: Place) -> None:
        """Remove a file from the server's output folder, if that is seen from here; one that is gone is no trouble."""
        if (path := self._path(place)) is not None:
            await asyncio.to_thread(path.unlink, missing_ok=True)

    async def _read(self, place: Place) -> bytes:
        path = self._path(place)
        if path is None:
            return await self._server.view(place.filename, place.subfolder, place.folder, self._max_bytes)
        try:
            return await asyncio.to_thread(_read_file, path, self._max_bytes)
        except OSError as error:
            raise Faulty(f"{path} can't be read: {error.strerror}") from None

    def _path(self, place: Place) -> Path | None:
        """Where a saved file is on this host. Raises Faulty: outside of the folder."""
        if self._output_dir is None or place.folder != "output":
            return None
        root = self._output_dir.resolve()
        try:
            path = (root / place.subfolder / place.filename).resolve()
        except (OSError, ValueError) as error:
            raise Faulty(f"{place.subfolder}/{place.filename} is no name of a file: {error}") from None
        if not path.is_relative_to(root):
            raise Faulty(f"{place.subfolder}/{place.filename} is outside of {root}")
        return path


def _node_order(output: tuple[str, Any]) -> tuple[int, str]:
    node = output[0]
    return (len(node), node) if node.isdecimal() else (1 << 62, node)


def _of_node(node: str, output: Mapping[str, Any]) -> list[Place | Text]:
    """Any list of maps with a file name is of files, whatever the node calls it: images, gifs, audio, 3d ..."""
    made: list[Place | Text] = []
    for kind, values in output.items():
        for value in cast("list[Any]", values) if isinstance(values, list) else []:
            if kind == "text" and isinstance(value, str):
                made.append(Text(value, node))
            elif isinstance(value, dict) and (place := _place(cast("dict[str, Any]", value), node)):
                made.append(place)
    return made


def _place(facts: Mapping[str, Any], node: str) -> Place | None:
    """A file that a prompt made, or None: that is none, or one that was there before."""
    filename, folder = facts.get("filename"), facts.get("type", "output")
    if not isinstance(filename, str) or not filename or folder not in ("output", "temp"):
        return None
    return Place(filename, str(facts.get("subfolder") or ""), folder, node)


def _read_file(path: Path, max_bytes: int) -> bytes:
    with path.open("rb") as file:
        data = file.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise TooLarge(f"{path} has more than {max_bytes} bytes")
    return data


async def _check(data: bytes, place: Place) -> None:
    if len(data) < _CHECKED_ASIDE:
        _check_now(data, place)
    else:
        await asyncio.to_thread(_check_now, data, place)


def _check_now(data: bytes, place: Place) -> None:
    """Raises Faulty: the file is empty, or a PNG that is damaged or not whole."""
    if not data:
        raise Faulty(f"{place.filename} is empty")
    if place.media_type == "image/png" and not _is_whole_png(data):
        raise Faulty(f"{place.filename} came damaged")


def _is_whole_png(data: bytes) -> bool:
    """Whether all chunks are as their checksums say, and the last one ends the file.

    Source: PNG specification (third edition), 5.3 chunk layout.
    """
    view, at = memoryview(data), len(_PNG)
    if not data.startswith(_PNG):
        return False
    while at + 12 <= len(view):
        end = at + 12 + int.from_bytes(view[at : at + 4], "big")
        if end > len(view) or zlib.crc32(view[at + 4 : end - 4]) != int.from_bytes(view[end - 4 : end], "big"):
            return False
        if bytes(view[at + 4 : at + 8]) == b"IEND":
            return end == len(view)
        at = end
    return False
