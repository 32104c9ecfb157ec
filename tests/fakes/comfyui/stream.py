"""The event stream: who is connected, what is sent to whom in which order, and the binary frames."""

import asyncio
import json
import os
import struct
import time
import uuid
from typing import Any

from aiohttp import ClientError, WSMsgType, web
from tests.fakes.comfyui.defects import Defects, until

_PREVIEW = 1
_TEXT = 3
_PREVIEW_WITH_METADATA = 4
_JPEG = 1


class Stream:
    """All sockets and one outbox, which a single task empties: a client that doesn't read holds up all."""

    def __init__(self, defects: Defects, features: dict[str, Any]) -> None:
        self.client_id: Any = None
        self.last_node_id: str | None = None
        self._defects = defects
        self._features = features
        self._sockets: dict[Any, web.WebSocketResponse] = {}
        self._flags: dict[Any, dict[str, Any]] = {}
        self._outbox: asyncio.Queue[tuple[float, str | bytes, Any]] = asyncio.Queue()
        self._loop = asyncio.get_running_loop()
        self._queue_remaining = 0

    @property
    def connections(self) -> int:
        return len(self._sockets)

    def send(self, kind: str, data: dict[str, Any], to: Any = None) -> None:
        """Send an event to one client, or to all if `to` is None. Safe to use from any thread."""
        self._put(json.dumps({"type": kind, "data": data}), to)

    def send_status(self, queue_remaining: int) -> None:
        self._queue_remaining = queue_remaining
        self.send("status", _status(queue_remaining))

    def send_preview(self, jpeg: bytes, metadata: dict[str, Any]) -> None:
        """Send a preview to the client of the running prompt, with metadata if it can read that."""
        if self.wants_metadata():
            head = json.dumps({**metadata, "image_type": "image/jpeg"}).encode()
            frame = struct.pack(">II", _PREVIEW_WITH_METADATA, len(head)) + head + jpeg
        else:
            frame = struct.pack(">II", _PREVIEW, _JPEG) + jpeg
        self._put(frame, self.client_id)

    def send_text(self, node_id: str, text: str) -> None:
        name = node_id.encode()
        self._put(struct.pack(">II", _TEXT, len(name)) + name + text.encode(), self.client_id)

    def wants_metadata(self) -> bool:
        """Whether the client of the running prompt asked for previews with metadata."""
        return bool(self._flags.get(self.client_id, {}).get("supports_preview_metadata"))

    async def publish(self) -> None:
        """Empty the outbox for ever. An id that can't be a key ends the process, as it does in the real server."""
        while True:
            since, message, to = await self._outbox.get()
            await asyncio.sleep(max(0.0, since + self._defects.ws_lag_s - time.monotonic()))
            await until(lambda: not self._defects.stream_frozen)
            try:
                await self._deliver(message, to)
            except TypeError:
                os._exit(1)

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        """Serve one client until it goes; that takes away whatever socket has its id by then."""
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        client_id = request.rel_url.query.get("clientId", "") or uuid.uuid4().hex
        self._sockets[client_id] = socket
        self._flags[client_id] = {}
        try:
            await self._greet(client_id)
            await self._listen(socket, client_id)
        finally:
            self._sockets.pop(client_id, None)
            self._flags.pop(client_id, None)
        return socket

    async def _greet(self, client_id: str) -> None:
        status = {**_status(self._queue_remaining), "sid": client_id}
        await self._deliver(json.dumps({"type": "status", "data": status}), client_id)
        if self.client_id == client_id and self.last_node_id is not None:
            data = {"node": self.last_node_id}
            await self._deliver(json.dumps({"type": "executing", "data": data}), client_id)

    async def _listen(self, socket: web.WebSocketResponse, client_id: str) -> None:
        first = True
        async for message in socket:
            if message.type is not WSMsgType.TEXT:
                continue
            try:
                said = json.loads(message.data)
            except ValueError:
                continue
            if first and said.get("type") == "feature_flags":
                self._flags[client_id] = said.get("data", {})
                await self._deliver(json.dumps({"type": "feature_flags", "data": self._features}), client_id)
            first = False

    async def _deliver(self, message: str | bytes, to: Any) -> None:
        names = list(self._sockets) if to is None else [to]
        for socket in [self._sockets[name] for name in names if name in self._sockets]:
            try:
                if isinstance(message, str):
                    await socket.send_str(message)
                else:
                    await socket.send_bytes(message)
            except (ClientError, ConnectionError):
                continue

    def _put(self, message: str | bytes, to: Any) -> None:
        self._loop.call_soon_threadsafe(self._outbox.put_nowait, (time.monotonic(), message, to))


def _status(queue_remaining: int) -> dict[str, Any]:
    return {"status": {"exec_info": {"queue_remaining": queue_remaining}}}
