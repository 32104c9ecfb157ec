"""Asks a ComfyUI server over HTTP; every call is bounded, and what goes wrong is told in three kinds of errors."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import httpx
import msgspec

from stoker_daemon.engines.comfyui.answers import Entry, Posted, Queue, SystemStats, Uploaded, decode, decode_entry
from stoker_daemon.recipes.template import Graph

T = TypeVar("T")

CONNECT_S = 5.0
SILENCE_S = 30.0
"""Seconds that a server may take for an answer, or for the next bytes of one."""


class Unreachable(Exception):
    """Nobody answers. `untouched`: the request did not get there, so nothing came of it."""

    def __init__(self, message: str, *, untouched: bool = False) -> None:
        super().__init__(message)
        self.untouched = untouched


class Faulty(Exception):
    """The server answered with something that it should not."""


class TooLarge(Exception):
    """A file has more bytes than are allowed."""


class Server:
    """The HTTP side of a server at `url`, from `open` to `close`. All methods raise Unreachable and Faulty."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._http = _client(self.url)

    def open(self) -> None:
        """Begin again after a `close`."""
        if self._http.is_closed:
            self._http = _client(self.url)

    async def close(self) -> None:
        """Let the connections go."""
        await self._http.aclose()

    async def post(
        self, graph: Graph, prompt_id: str, client_id: str, info: Mapping[str, Any], *, previews: bool
    ) -> Posted:
        """Queue a prompt under an id of ours; `info` goes into the PNG files that it makes.

        With `previews` they are asked for, else the server does as it is used to. Without `number`, which can kill
        the server's worker.
        """
        extra: dict[str, Any] = {"extra_pnginfo": info} | ({"preview_method": "auto"} if previews else {})
        body = {"prompt": graph, "prompt_id": prompt_id, "client_id": client_id, "extra_data": extra}
        content = msgspec.json.encode(body)
        response = await self._ask("POST", "/prompt", content=content, accept=(200, 400))
        return _decoded(response, Posted)

    async def queue(self) -> Queue:
        """Who is at work and who waits."""
        return _decoded(await self._ask("GET", "/queue"), Queue)

    async def entry(self, prompt_id: str) -> Entry | None:
        """What the history has of a prompt, or None: nothing."""
        return decode_entry((await self._ask("GET", f"/history/{prompt_id}")).content, prompt_id)

    async def cancel(self, prompt_id: str) -> bool:
        """Stop a prompt of the queue, whether it waits or is at work, in one step; False: an older server can't."""
        response = await self._ask("POST", f"/api/jobs/{prompt_id}/cancel", accept=(200, 404, 405))
        return response.is_success

    async def drop(self, prompt_ids: Sequence[str]) -> None:
        """Take prompts from the queue that wait there; others are left alone."""
        await self._ask("POST", "/queue", content=msgspec.json.encode({"delete": list(prompt_ids)}))

    async def interrupt(self, prompt_id: str) -> None:
        """Stop a prompt if it is the one at work. The server answers the same whether it is or not."""
        await self._ask("POST", "/interrupt", content=msgspec.json.encode({"prompt_id": prompt_id}))

    async def stats(self) -> SystemStats:
        """The server about itself."""
        return _decoded(await self._ask("GET", "/system_stats"), SystemStats)

    async def free(self) -> None:
        """Ask it to forget its models and results, which it does once no prompt is at work."""
        body = {"unload_models": True, "free_memory": True}
        await self._ask("POST", "/free", content=msgspec.json.encode(body))

    async def object_info(self) -> bytes:
        """All node classes with their inputs, as JSON."""
        return (await self._ask("GET", "/object_info")).content

    async def folders(self) -> dict[str, list[str]]:
        """Where its models are, by what it calls the folders; older servers do not tell."""
        response = await self._ask("GET", "/internal/folder_paths", accept=(200, 403, 404, 405))
        return _decoded(response, dict[str, list[str]]) if response.is_success else {}

    async def upload(self, name: str, subfolder: str, data: bytes) -> str:
        """Put an image where workflows find it; the name by which they do, which need not be the one asked for."""
        files = {"image": (name, data, "application/octet-stream")}
        form = {"subfolder": subfolder, "type": "input"}
        said = _decoded(await self._ask("POST", "/upload/image", files=files, data=form), Uploaded)
        return f"{said.subfolder}/{said.name}" if said.subfolder else said.name

    async def has_input(self, name: str) -> bool:
        """Whether an image is still where `upload` put it."""
        subfolder, _, filename = name.rpartition("/")
        query = {"filename": filename, "subfolder": subfolder, "type": "input"}
        return (await self._ask("HEAD", "/view", params=query, accept=(200, 404))).is_success

    async def view(self, filename: str, subfolder: str, folder: str, max_bytes: int) -> bytes:
        """The bytes of an output. Raises TooLarge."""
        query = {"filename": filename, "subfolder": subfolder, "type": folder}
        parts: list[bytes] = []
        size, has_begun = 0, False
        try:
            async with self._http.stream("GET", "/view", params=query) as response:
                if not response.is_success:
                    raise Faulty(f"{filename} is not given out: HTTP {response.status_code}")
                has_begun = True
                async for part in response.aiter_bytes():
                    parts.append(part)
                    size += len(part)
                    if size > max_bytes:
                        raise TooLarge(f"{filename} has more than {max_bytes} bytes")
        except httpx.RequestError as error:
            if has_begun:
                raise Faulty(f"{filename} did not come whole: {error}") from None
            raise _unreachable(self.url, error) from None
        return b"".join(parts)

    async def _ask(self, method: str, path: str, *, accept: Sequence[int] = (200,), **request: Any) -> httpx.Response:
        try:
            response = await self._http.request(method, path, **request)
        except httpx.RequestError as error:
            raise _unreachable(self.url, error) from None
        if response.status_code not in accept:
            raise Faulty(f"{method} {path}: HTTP {response.status_code} {response.text[:200].strip()}".strip())
        return response


def _client(url: str) -> httpx.AsyncClient:
    """Without the proxies of the environment, which are not meant for a server of the house."""
    return httpx.AsyncClient(base_url=url, timeout=httpx.Timeout(SILENCE_S, connect=CONNECT_S), trust_env=False)


def _unreachable(url: str, error: Exception) -> Unreachable:
    untouched = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.UnsupportedProtocol)
    why = str(error) or type(error).__name__
    return Unreachable(f"ComfyUI at {url} does not answer: {why}", untouched=untouched)


def _decoded(response: httpx.Response, type_: type[T]) -> T:
    try:
        return decode(response.content, type_)
    except msgspec.DecodeError as error:
        raise Faulty(f"{response.request.url.path}: what it answers can't be read: {error}") from None
