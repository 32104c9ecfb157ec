"""Replays a recording's requests against a server and compares what comes back with what was recorded."""

import asyncio
import io
import json
import re
import struct
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any, cast

import aiohttp
from PIL import Image

Row = dict[str, Any]
Hook = Callable[["Replay"], Awaitable[None]]

FLAGS = {"type": "feature_flags", "data": {"supports_preview_metadata": True}}

_TRIMMED = "<trimmed>"  # a key in an object that had more keys than were recorded
_NOTHING = "nothing"
_RECORDED_URL = "http://127.0.0.1:8188"
_ANSWER_S = 10
_STATUS_S = 0.5
_HEADERS = ("Content-Type", "Content-Disposition", "Content-Range", "Accept-Ranges")
# Texts and numbers that may differ from one server to another; everything else is compared to the letter.
_LOOSE_TEXTS = {
    "exception_message",
    "python_version",
    "required_frontend_version",
    "installed_templates_version",
    "required_templates_version",
}
_LOOSE_TREES = {"traceback", "current_inputs", "argv"}
_EXACT_NUMBERS = {"value", "max", "queue_remaining", "limit", "offset", "outputs_count", "received_value"}
_SETS = {"executed", "current_outputs"}
_SETS_OF_OBJECTS = {"errors", "jobs"}


class Mismatch(AssertionError):
    """The server did otherwise than the recorded one."""


@dataclass
class _Events:
    """What one socket was sent: status events apart, as they come at any time, and steps in a row as one."""

    others: list[Any] = field(default_factory=list[Any])
    status: list[int] = field(default_factory=list[int])

    def add(self, event: Row) -> None:
        if event.get("type") == "status" and "sid" not in event["data"]:
            remaining = event["data"]["status"]["exec_info"]["queue_remaining"]
            if self.status[-1:] != [remaining]:
                self.status.append(remaining)
            return
        self.others.append(_without_step(event))
        for length in (2, 3):
            if "step" in self.others[-1] and self.others[-length:] == self.others[-2 * length : -length]:
                del self.others[-length:]


class Replay:
    """One recording at work.

    Arguments:
        url: of the server.
        hooks: what the recorder did where it left only a note, by the note's beginning.
    """

    def __init__(self, url: str, session: aiohttp.ClientSession, hooks: dict[str, Hook]) -> None:
        self.url = url
        self.session = session
        self.sockets: dict[str, aiohttp.ClientWebSocketResponse] = {}
        self._hooks = hooks
        self._expected: dict[str, _Events] = {}
        self._received: dict[str, _Events] = {}
        self._readers: dict[str, asyncio.Task[None]] = {}
        self._ids: dict[str, str] = {}

    async def run(self, rows: list[Row]) -> None:
        """Replay all rows.

        Raises:
            Mismatch: at the first difference.
        """
        try:
            for place, row in enumerate(rows):
                if row["dir"] == "ws_open":
                    await self._open(row, rows[place:])
                await self._do(row)
            await self._settle()
            for name, expected in self._expected.items():
                received = self._received[name]
                _compare(_normal(expected.others), _normal(received.others), f"events of {name}")
                _compare(expected.status[-1:], received.status[-1:], f"last status of {name}")
        finally:
            for name, socket in self.sockets.items():
                await socket.close()
                await self._readers[name]

    async def _do(self, row: Row) -> None:
        match row["dir"]:
            case "ws_recv":
                self._expected[row["conn"]].add(_recorded_event(self._renamed(row)))
            case "ws_send":
                await self.sockets[row["conn"]].send_str(row.get("text") or json.dumps(row["msg"]))
            case "ws_close_by_client":
                await self._settle()
                await self.sockets[row["conn"]].close()
            case "ws_closed":
                await asyncio.wait_for(self._readers[row["conn"]], _ANSWER_S)
                if row["close_code"] is not None:
                    _compare(row["close_code"], self.sockets[row["conn"]].close_code, "close code")
            case "http":
                await self._ask(self._renamed(row))
            case "note":
                await self._note(row["text"])
            case _:
                pass

    async def _note(self, text: str) -> None:
        for beginning, hook in self._hooks.items():
            if text.startswith(beginning):
                await self._settle()
                await hook(self)

    async def _open(self, row: Row, rows: list[Row]) -> None:
        """Open a socket when as many prompts are left as the greeting tells that was recorded."""
        await self._settle()
        name = row["conn"]
        greeting = next(each["msg"] for each in rows if each["dir"] == "ws_recv" and each["conn"] == name)
        await self._ask({"method": "GET", "path": "/prompt", "status": 200, "response": greeting["data"]["status"]})
        await asyncio.sleep(0.02)  # the last event of a prompt comes a little after the queue is empty
        path = row["url"].partition("8188")[2]
        self.sockets[name] = await self.session.ws_connect(f"{self.url}{path}", max_msg_size=0)
        self._expected[name], self._received[name] = _Events(), _Events()
        self._readers[name] = asyncio.create_task(self._read(name))

    async def _read(self, name: str) -> None:
        async for message in self.sockets[name]:
            binary = message.type is aiohttp.WSMsgType.BINARY
            self._received[name].add(_frame(message.data) if binary else json.loads(message.data))

    async def _ask(self, row: Row) -> None:
        """Make a request; one that changes nothing is made until the answer is as recorded, as the recorder waited."""
        await self._settle()
        until = time.monotonic() + _ANSWER_S
        while True:
            try:
                return await self._request(row)
            except Mismatch:
                if row["method"] != "GET" or time.monotonic() > until:
                    raise
                await asyncio.sleep(0.02)

    async def _request(self, row: Row) -> None:
        what = f"{row['method']} {row['path']}"
        headers = {name: text.replace(_RECORDED_URL, self.url) for name, text in row.get("request_headers", {}).items()}
        try:
            asked = self.session.request(row["method"], f"{self.url}{row['path']}", data=_body(row), headers=headers)
            async with asked as reply:
                content = await reply.read()
        except aiohttp.ClientConnectionError:
            if "exception" not in row:
                raise
            return
        _compare(row["status"], reply.status, f"status of {what}: {content[:500]!r}")
        recorded_headers = row.get("resp_headers", {})
        for name in _HEADERS:
            if name in recorded_headers and content:
                _compare(_counted(recorded_headers[name]), _counted(reply.headers.get(name, "")), f"{name} of {what}")
        if row.get("response"):
            self._compare_answer(row, content, what)
        await asyncio.sleep(0.002)  # so that no two prompts are as old, by their milliseconds

    def _compare_answer(self, row: Row, content: bytes, what: str) -> None:
        if isinstance(row["response"], str):
            return _compare(row["response"], content.decode(), what)
        answer = json.loads(content)
        if what == "POST /prompt" and "prompt_id" in answer:
            self._ids[row["response"]["prompt_id"]] = answer["prompt_id"]
        return _compare(_normal(self._renamed(row)["response"]), _normal(answer), what)

    async def _settle(self) -> None:
        """Wait until each socket has got what it should have by now; for status events, only for a while."""
        until = time.monotonic() + _ANSWER_S
        for name, expected in self._expected.items():
            received = self._received[name]
            while len(received.others) < len(expected.others) and not self._readers[name].done():
                if time.monotonic() > until:
                    raise Mismatch(f"{name} waits for {expected.others[len(received.others) :]}")
                await asyncio.sleep(0.005)
            soon = time.monotonic() + _STATUS_S
            while received.status[-1:] > expected.status[-1:] and time.monotonic() < soon:  # noqa: ASYNC110
                await asyncio.sleep(0.005)

    def _renamed(self, row: Row) -> Row:
        """The row with the ids that this server gave."""
        text = json.dumps(row)
        for recorded, given in self._ids.items():
            if recorded.count("-") == 4:
                text = text.replace(recorded, given)
        return json.loads(text)


def _without_step(event: Row) -> Row:
    """How far a node is, if it is between its start and its end, depends on the server's speed."""
    if event.get("type") == "progress":
        return {"step": event["data"]["node"]}
    if event.get("type") == "progress_state":
        nodes = event["data"]["nodes"]
        going = [name for name, node in nodes.items() if node["state"] == "running" and node["value"] > 0]
        if going:
            states = {name: node["state"] for name, node in nodes.items()}
            return {"step": going, "states": states}
    if event.get("event_type") in (1, 4):
        return {"step": event}
    return event


def _recorded_event(row: Row) -> Row:
    if row.get("kind") != "binary":
        return row["msg"]
    return {key: row[key] for key in ("event_type", "metadata", "image_type", "node_id", "text") if key in row}


def _frame(data: bytes) -> Row:
    """What a binary frame says, in the words of the recordings."""
    kind, length = struct.unpack(">II", data[:8])
    head, rest = data[8 : 8 + length], data[8 + length :]
    if kind == 1:
        assert data[8:10] == b"\xff\xd8", "a JPEG"
        return {"event_type": 1, "image_type": length}
    if kind == 4:
        assert rest[:2] == b"\xff\xd8", "a JPEG"
        return {"event_type": 4, "metadata": json.loads(head)}
    return {"event_type": kind, "node_id": head.decode(), "text": rest.decode()}


def _body(row: Row) -> Any:
    """The body of a request: JSON, raw text, or an upload as the recorder described it."""
    if "request_raw" in row:
        return row["request_raw"].encode()
    if "request_body" in row:
        return json.dumps(row["request_body"]).encode()
    if "multipart" not in row.get("request_desc", {}):
        return None
    form = aiohttp.FormData()
    for name, text in row["request_desc"]["multipart"].items():
        described = re.fullmatch(r"<file (\S+) (\d+) bytes>", text)
        if described is None:
            form.add_field(name, text)
        else:
            form.add_field(name, picture(int(described[2])), filename=described[1], content_type="image/png")
    return form


def picture(size: int) -> bytes:
    """A red PNG of that many bytes; those after its end are no part of it."""
    buffer = io.BytesIO()
    Image.new("RGB", (64, 64), "red").save(buffer, "PNG")
    return buffer.getvalue().ljust(size, b"\0")


def _normal(value: Any, key: str = "") -> Any:
    """A value without what differs from one server to another."""
    if key in _LOOSE_TREES:
        return "..."
    if isinstance(value, dict):
        return {name: _normal(each, name) for name, each in cast(Row, value).items()}
    if isinstance(value, list):
        return _normal_list(cast(list[Any], value), key)
    if isinstance(value, str):
        made_up = key == "sid" and re.fullmatch("[0-9a-f]{32}", value)
        return "..." if made_up or key in _LOOSE_TEXTS else _counted(value)
    if isinstance(value, bool | None) or key in _EXACT_NUMBERS:
        return value
    return type(value).__name__


def _normal_list(values: list[Any], key: str) -> list[Any]:
    if key in _SETS:
        return sorted(values)
    if len(values) == 5 and isinstance(values[1], str):  # a queued prompt; its outputs are a set
        values = [*values[:4], sorted(values[4], key=str)]
    normal = [_normal(each) for each in values]
    return sorted(normal, key=str) if key in _SETS_OF_OBJECTS else normal


def _counted(text: str) -> str:
    """A text without the numbers and letters that tell files apart."""
    text = re.sub(r"ComfyUI_temp_[a-z]{5}", "ComfyUI_temp", text)
    text = re.sub(r"\(list of length \d+\)", "(list of length N)", text)
    return re.sub(r"_\d{5}_", "_N_", text)


def _compare(recorded: Any, given: Any, what: str) -> None:
    if (difference := _difference(recorded, given, what)) is not None:
        raise Mismatch(difference)


def _difference(recorded: Any, given: Any, path: str) -> str | None:
    """Where two normal values differ first. What was left out of a recording matches everything."""
    if isinstance(recorded, str) and re.fullmatch(r"<.*>", recorded):
        return None
    if isinstance(recorded, dict) and isinstance(given, dict):
        return _difference_of_objects(cast(Row, recorded), cast(Row, given), path)
    if isinstance(recorded, list) and isinstance(given, list):
        pairs = zip_longest(cast(list[Any], recorded), cast(list[Any], given), fillvalue=_NOTHING)
        return _first(_difference(*pair, f"{path}[{place}]") for place, pair in enumerate(pairs))
    return None if recorded == given else f"{path}: {recorded!r} was recorded, {given!r} came"


def _difference_of_objects(recorded: Row, given: Row, path: str) -> str | None:
    keys = set(recorded) - {_TRIMMED}
    if keys - set(given) or (_TRIMMED not in recorded and set(given) - keys):
        return f"{path}: keys {sorted(keys)} were recorded, {sorted(given)} came"
    return _first(_difference(recorded[key], given[key], f"{path}.{key}") for key in keys)


def _first(differences: Any) -> str | None:
    return next((each for each in differences if each is not None), None)
