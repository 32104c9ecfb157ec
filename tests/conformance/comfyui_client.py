"""A bare client of a ComfyUI server, and graphs that run on a fake one and on a real one."""

import asyncio
import functools
import json
import random
import struct
import time
import uuid
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Self

import aiohttp

Graph = dict[str, Any]
Event = dict[str, Any]

FLAGS = {"type": "feature_flags", "data": {"supports_preview_metadata": True}}

_ANSWER_S = 60
_TEST_S = 120
_LOOK_AGAIN_S = 0.005
_INTERRUPT_AGAIN_S = 0.1


class Socket:
    """One WebSocket, which is always read; binary frames count as events of the types `preview` and `text`."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.events: list[Event] = []
        self.socket = socket
        self._reader = asyncio.create_task(self._read())

    @property
    def kinds(self) -> list[str]:
        return [event["type"] for event in self.events]

    def of(self, prompt_id: str) -> list[Event]:
        """The events of one prompt."""
        return [event for event in self.events if event["data"].get("prompt_id") == prompt_id]

    async def wait_for(self, kind: str, **data: Any) -> Event:
        """Wait for an event whose data has these values."""
        until = time.monotonic() + _ANSWER_S
        while True:
            for event in self.events:
                if event["type"] == kind and data.items() <= event["data"].items():
                    return event
            assert time.monotonic() < until, f"no {kind} with {data}, but {self.kinds}"
            await asyncio.sleep(_LOOK_AGAIN_S)

    async def wait_for_end(self, prompt_id: str) -> list[Event]:
        """Wait until a prompt has ended; its events."""
        await self.wait_for("executing", node=None, prompt_id=prompt_id)
        return self.of(prompt_id)

    async def close(self) -> None:
        await self.socket.close()
        await self._reader

    async def _read(self) -> None:
        async for message in self.socket:
            if message.type is aiohttp.WSMsgType.BINARY:
                self.events.append(_frame(message.data))
            else:
                self.events.append(json.loads(message.data))


class Client:
    """Requests and sockets, which are closed at the end."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.session = aiohttp.ClientSession(url)
        self._sockets: list[Socket] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for socket in self._sockets:
            await socket.close()
        await self.session.close()

    async def connect(self, client_id: str | None = None, *, flags: bool = False) -> Socket:
        """Open a socket, and wait for its greeting."""
        query = f"?clientId={client_id}" if client_id else ""
        socket = Socket(await self.session.ws_connect(f"/ws{query}", max_msg_size=0))
        self._sockets.append(socket)
        if flags:
            await socket.socket.send_json(FLAGS)
            await socket.wait_for("feature_flags")
        await socket.wait_for("status")
        return socket

    async def get(self, path: str) -> Any:
        """The JSON of an answer, which is a 200."""
        async with self.session.get(path) as reply:
            assert reply.status == 200, f"{path}: {reply.status}"
            return await reply.json()

    async def get_bytes(self, path: str, **headers: str) -> tuple[int, bytes]:
        async with self.session.get(path, headers=headers) as reply:
            return reply.status, await reply.read()

    async def post(self, path: str, body: Any) -> tuple[int, Any]:
        """The status and the answer, which is JSON or a text."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        async with self.session.post(path, data=data) as reply:
            text = await reply.text()
            return reply.status, json.loads(text) if reply.content_type == "application/json" else text

    async def submit(self, graph: Graph, client: str | None = None, **more: Any) -> str:
        """Submit a valid graph; its prompt's id."""
        body = {"prompt": graph, "prompt_id": str(uuid.uuid4()), **({"client_id": client} if client else {}), **more}
        status, answer = await self.post("/prompt", body)
        assert status == 200, f"{status}: {answer}"
        assert answer["node_errors"] == {}
        return answer["prompt_id"]

    async def run(self, socket: Socket, client: str, graph: Graph, **more: Any) -> list[Event]:
        """Run a graph to its end; its events."""
        return await socket.wait_for_end(await self.submit(graph, client, **more))

    async def history(self, prompt_id: str) -> Any:
        """The entry of a prompt, None if there is none."""
        return (await self.get(f"/history/{prompt_id}")).get(prompt_id)

    async def wait_for_history(self, prompt_id: str) -> Any:
        """Wait for the entry of a prompt."""
        until = time.monotonic() + _ANSWER_S
        while (entry := await self.history(prompt_id)) is None:
            assert time.monotonic() < until, f"{prompt_id} did not end"
            await asyncio.sleep(_LOOK_AGAIN_S)
        return entry

    async def wait_until_running(self, prompt_id: str) -> None:
        """Wait until a prompt runs."""
        until = time.monotonic() + _ANSWER_S
        while prompt_id not in await self.queued("queue_running"):
            assert time.monotonic() < until, f"{prompt_id} did not start"
            await asyncio.sleep(_LOOK_AGAIN_S)

    async def interrupt(self, prompt_id: str) -> Any:
        """Interrupt a running prompt again and again until it has ended; its entry.

        The server forgets an interrupt that comes between the prompt's leaving the queue and its first node.
        """
        until = time.monotonic() + _ANSWER_S
        while (entry := await self.history(prompt_id)) is None:
            assert time.monotonic() < until, f"{prompt_id} did not end"
            assert await self.post("/interrupt", {"prompt_id": prompt_id}) == (200, "")
            await asyncio.sleep(_INTERRUPT_AGAIN_S)
        return entry

    async def queued(self, part: str = "queue_pending") -> list[str]:
        """The ids in a part of the queue, as they are listed."""
        return [entry[1] for entry in (await self.get("/queue"))[part]]


def in_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Make a test of a coroutine function."""

    @functools.wraps(test)
    def run(*arguments: Any, **named: Any) -> None:
        asyncio.run(asyncio.wait_for(test(*arguments, **named), _TEST_S))

    return run


def image_graph(color: int | None = None, prefix: str | None = None, batch_size: int = 1, **between: Any) -> Graph:
    """An image of one colour (node 1), what is put between (node 3), and a SaveImage (node 2)."""
    inputs = {"width": 64, "height": 64, "batch_size": batch_size, "color": new_color() if color is None else color}
    graph: Graph = {
        "1": {"class_type": "EmptyImage", "inputs": inputs},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": prefix or new_prefix()}},
    }
    for name, more in between.items():
        graph["3"] = {"class_type": name, "inputs": {"image": ["1", 0], **more}}
        graph["2"]["inputs"]["images"] = ["3", 0]
    return graph


def held_graph(*, blocking: bool = False) -> Graph:
    """A graph that runs until it is released or interrupted; if `blocking`, it hears no interrupt before that."""
    return image_graph(StokerTestSleep={"seconds": -1, "blocking": blocking})


def model_graph(checkpoint: str, steps: int = 2, batch_size: int = 1, width: int = 64) -> Graph:
    """A sampler (3) with its checkpoint (4), latent (5), prompts (6, 7), decoder (8) and SaveImage (9)."""
    sampler = {
        "seed": new_color(),
        "steps": steps,
        "cfg": 4.0,
        "sampler_name": "euler",
        "scheduler": "normal",
        "denoise": 1.0,
    }
    links = {"model": ["4", 0], "positive": ["6", 0], "negative": ["7", 0], "latent_image": ["5", 0]}
    latent = {"width": width, "height": 64, "batch_size": batch_size}
    return {
        "3": {"class_type": "KSampler", "inputs": sampler | links},
        "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": checkpoint}},
        "5": {"class_type": "EmptyLatentImage", "inputs": latent},
        "6": {"class_type": "CLIPTextEncode", "inputs": {"text": "a red cube", "clip": ["4", 1]}},
        "7": {"class_type": "CLIPTextEncode", "inputs": {"text": "blurry", "clip": ["4", 1]}},
        "8": {"class_type": "VAEDecode", "inputs": {"samples": ["3", 0], "vae": ["4", 2]}},
        "9": {"class_type": "SaveImage", "inputs": {"images": ["8", 0], "filename_prefix": new_prefix()}},
    }


def new_color() -> int:
    """A number that was probably never used, so that nothing is cached."""
    return random.randrange(1 << 24)


def new_prefix() -> str:
    """A prefix in a folder of its own."""
    return f"stoker-test/{uuid.uuid4()}/picture"


def new_client() -> str:
    """A client's id that was never used."""
    return uuid.uuid4().hex


def view(output: dict[str, str]) -> str:
    """The path of an output."""
    return f"/view?filename={output['filename']}&subfolder={output['subfolder']}&type={output['type']}"


def _frame(data: bytes) -> Event:
    kind, length = struct.unpack(">II", data[:8])
    if kind == 1:
        return {"type": "preview", "data": {"format": length, "image": data[8:]}}
    head, rest = data[8 : 8 + length], data[8 + length :]
    if kind == 3:
        return {"type": "text", "data": {"node": head.decode(), "text": rest.decode()}}
    return {"type": "preview", "data": {**json.loads(head), "image": rest}}
