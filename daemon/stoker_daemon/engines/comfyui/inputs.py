"""Images that workflows read: sent to the server once, under the SHA-256 of their content."""

from typing import TypeGuard

from msgspec import UNSET

from stoker_daemon.engines.comfyui.server import Server
from stoker_daemon.ports import Blobs
from stoker_daemon.recipes.template import Graph
from stoker_protocol.codec import unpack_map
from stoker_protocol.errors import ErrorCode, Refused
from stoker_protocol.requests import Submit

PREFIX = "blob:"
SUBFOLDER = "stoker"
_MAX_REMEMBERED = 10_000
_SUFFIXES = {b"\x89PNG": ".png", b"\xff\xd8\xff": ".jpg", b"RIFF": ".webp", b"GIF8": ".gif"}


class Inputs:
    """Puts names of the server's in place of `blob:SHA256` in graphs."""

    def __init__(self, server: Server, blobs: Blobs) -> None:
        self._server = server
        self._blobs = blobs
        self._names: dict[str, str] = {}

    async def check(self, request: Submit) -> None:
        """Are the input files of all items there? Raises Refused: `bad_request`."""
        given = [
            ("params", request.params),
            *((f"items[{i}].params", item.params) for i, item in enumerate(request.items)),
        ]
        seen: set[str] = set()
        for field, params in given:
            if params is UNSET or PREFIX.encode() not in bytes(params):
                continue
            for name, value in unpack_map(params).items():
                if _is_blob(value) and value not in seen:
                    await self._check_one(value, f"{field}.{name}")
                    seen.add(value)

    async def place(self, graph: Graph) -> None:
        """Send the files that a graph means, and name them as the server does.

        Raises:
            Refused: `not_found`: a file was removed meanwhile.
            Unreachable, Faulty: The server does not take one.
        """
        for node in graph.values():
            for name, value in node["inputs"].items():
                if _is_blob(value):
                    node["inputs"][name] = await self._name(value.removeprefix(PREFIX))

    async def _check_one(self, value: str, field: str) -> None:
        if not await self._blobs.has(value.removeprefix(PREFIX)):
            hint = "send it with `put_blob` first; `stoker generate --image FILE` does"
            raise Refused(ErrorCode.BAD_REQUEST, f"{field}: the file {value} is not here", field=field, hint=hint)

    async def _name(self, sha256: str) -> str:
        name = self._names.get(sha256)
        if name is None or not await self._server.has_input(name):
            data = await self._blobs.read(sha256)
            suffix = next((suffix for magic, suffix in _SUFFIXES.items() if data.startswith(magic)), ".png")
            name = await self._server.upload(f"{sha256}{suffix}", SUBFOLDER, data)
            while len(self._names) >= _MAX_REMEMBERED:
                del self._names[next(iter(self._names))]
            self._names[sha256] = name
        return name


def _is_blob(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and value.startswith(PREFIX)
