"""Asks a server that speaks OpenAI's API; every call is bounded in time and bytes."""

import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from email.utils import parsedate_to_datetime
from typing import Any, cast

import httpx
import msgspec

from stoker_daemon.engines.hosts import is_here
from stoker_daemon.engines.openai.answers import Answer, explain

CONNECT_S = 10.0
LOOK_S = 15.0
"""Bounds a look at what the server offers."""
MAX_ANSWER, MAX_EVENT = 64 << 20, 4 << 20
"""Bytes of one answer, and of one piece of a streamed one."""


class Unreachable(Exception):
    """Nobody answers: the request did not get there."""


class Broken(Exception):
    """The connection ended, or the answer made no sense, when the request was under way."""


class Silent(Exception):
    """Nothing came for too long."""


class Refusal(Exception):
    """The server refused with an HTTP status."""

    def __init__(self, status: int, code: str, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(f"HTTP {status}: {message}" if message else f"HTTP {status}")
        self.status = status
        self.code = code
        self.message = message
        self.retry_after_s = retry_after_s


class Server:
    """A server at `url`, as far as its version: `http://127.0.0.1:8080/v1`. All methods raise the errors above.

    `key()` gives the key for each request; no text of an error ever has it. It may be silent for `silence_s`.
    """

    def __init__(self, url: str, key: Callable[[], str], silence_s: float) -> None:
        self.url = url.rstrip("/")
        self._key = key
        self._silence_s = silence_s
        self._http = self._client()

    def open(self) -> None:
        """Begin again after a `close`."""
        if self._http.is_closed:
            self._http = self._client()

    async def close(self) -> None:
        """Let the connections go."""
        await self._http.aclose()

    async def models(self) -> list[str]:
        """The names of its models."""
        data = (await self.look("/models")).get("data")
        rows = cast("list[Any]", data) if isinstance(data, list) else []
        return [str(cast("dict[str, Any]", row)["id"]) for row in rows if isinstance(row, dict) and "id" in row]

    async def look(self, path: str) -> Answer:
        """What the server says of itself, at once."""
        async with self._asked("GET", path, timeout=LOOK_S) as response:
            return _map(_decode(await _all(response)))

    async def ask(self, path: str, body: dict[str, Any]) -> Answer:
        """The answer in one piece."""
        async with self._asked("POST", path, content=msgspec.json.encode(body)) as response:
            return _map(_decode(await _all(response)))

    async def stream(self, path: str, body: dict[str, Any]) -> AsyncGenerator[Answer]:
        """The answer piece by piece; from a server that can't, in one."""
        content = msgspec.json.encode({**body, "stream": True, "stream_options": {"include_usage": True}})
        async with self._asked("POST", path, content=content) as response:
            if "json" in response.headers.get("content-type", ""):
                yield _map(_decode(await _all(response)))
                return
            async for data in _events(response):
                if data == b"[DONE]":
                    return
                piece = _map(_decode(data))
                if piece.get("error"):
                    code, message = self._explain(data)
                    raise Refusal(int(code) if code.isdecimal() else 500, code, message)
                yield piece

    async def lines(self, path: str, body: dict[str, Any]) -> AsyncGenerator[Answer]:
        """The answer of a server that says one map a line."""
        async with self._asked("POST", path, content=msgspec.json.encode(body)) as response:
            async for line in response.aiter_lines():
                if line.strip():
                    yield _map(_decode(line.encode()))

    @asynccontextmanager
    async def _asked(self, method: str, path: str, **request: Any) -> AsyncGenerator[httpx.Response]:
        key = self._key()
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
        try:
            async with self._http.stream(method, self.url + path, headers=headers, **request) as response:
                if not response.is_success:
                    code, message = self._explain(await _all(response, enough=1 << 16))
                    raise Refusal(response.status_code, code, message, _retry_after_s(response.headers))
                yield response
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
            raise Unreachable(f"{self.url} does not answer: {error or type(error).__name__}") from None
        except httpx.TimeoutException:
            raise Silent(f"{self.url} said nothing for too long") from None
        except httpx.RequestError as error:
            raise Broken(f"the connection broke off: {error or type(error).__name__}") from None

    def _explain(self, body: bytes) -> tuple[str, str]:
        """Code and message of an error; some servers repeat the key that they do not accept."""
        code, message = explain(body)
        key = self._key()
        return code, message.replace(key, "***") if key else message

    def _client(self) -> httpx.AsyncClient:
        """Proxies of the environment are not meant for a server on this host."""
        timeout = httpx.Timeout(self._silence_s, connect=CONNECT_S, pool=None)
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=32)
        return httpx.AsyncClient(timeout=timeout, limits=limits, trust_env=not is_here(self.url))


async def _events(response: httpx.Response) -> AsyncIterator[bytes]:
    """The data of server-sent events; source: the WHATWG's standard, as far as these servers use it."""
    buffer, data = b"", list[bytes]()
    async for part in _bounded(response):
        *lines, buffer = (buffer + part).split(b"\n")
        if len(buffer) > MAX_EVENT:
            raise Broken(f"a piece of the answer has more than {MAX_EVENT >> 20} MiB")
        for line in (line.removesuffix(b"\r") for line in lines):
            if line.startswith(b"data:"):
                data.append(line.removeprefix(b"data:").removeprefix(b" "))
            elif not line and data:
                yield b"\n".join(data)
                data = []
    if data:
        yield b"\n".join(data)


async def _all(response: httpx.Response, enough: int | None = None) -> bytes:
    """The body, or its beginning."""
    whole = bytearray()
    async for part in _bounded(response):
        whole += part
        if enough is not None and len(whole) > enough:
            break
    return bytes(whole)


async def _bounded(response: httpx.Response) -> AsyncIterator[bytes]:
    size = 0
    try:
        async for part in response.aiter_bytes():
            size += len(part)
            if size > MAX_ANSWER:
                raise Broken(f"the answer has more than {MAX_ANSWER >> 20} MiB")
            yield part
    except httpx.DecodingError as error:
        raise Broken(f"the answer can't be read: {error}") from None


def _decode(data: bytes) -> Any:
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Broken(f"the answer is no JSON: {error}: {data[:60]!r}") from None


def _map(value: Any) -> Answer:
    if not isinstance(value, dict):
        raise Broken(f"the answer is no map: {value!r:.60}")
    return cast("Answer", value)


def _retry_after_s(headers: httpx.Headers) -> float | None:
    """Seconds, or a date; source: RFC 9110, 10.2.3."""
    said = headers.get("retry-after", "").strip()
    try:
        return max(0.0, float(said) if said[:1].isdecimal() else parsedate_to_datetime(said).timestamp() - time.time())
    except (ValueError, TypeError):
        return None
