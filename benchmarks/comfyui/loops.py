"""The bare loops that Stoker is measured beside: one prompt at a time, the next one when the stream says it is done."""

import asyncio
import hashlib
import os
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import msgspec
from websockets.asyncio.client import ClientConnection, connect

from benchmarks.comfyui.graphs import Graph

TIMEOUT_S = 60.0


def bare_loop(url: str, graphs: Sequence[Graph]) -> list[str]:
    """The ids of the prompts, all done."""
    return asyncio.run(_loop(url, graphs, None))


def keeping_loop(url: str, graphs: Sequence[Graph], folder: Path) -> list[str]:
    """The same, which also fetches each output, hashes it and puts it on disk for good before it goes on."""
    return asyncio.run(_loop(url, graphs, folder))


async def _loop(url: str, graphs: Sequence[Graph], folder: Path | None) -> list[str]:
    client_id = uuid.uuid4().hex
    done: list[str] = []
    stream = f"{url.replace('http', 'ws', 1)}/ws?clientId={client_id}"
    async with (
        httpx.AsyncClient(base_url=url, timeout=TIMEOUT_S, trust_env=False) as http,
        connect(stream, max_size=None, proxy=None) as socket,
    ):
        for graph in graphs:
            prompt_id = str(uuid.uuid4())
            body = {"prompt": graph, "client_id": client_id, "prompt_id": prompt_id}
            posted = await http.post("/prompt", content=msgspec.json.encode(body))
            posted.raise_for_status()
            await asyncio.wait_for(_until_done(socket, prompt_id), TIMEOUT_S)
            if folder is not None:
                await _keep(http, prompt_id, folder)
            done.append(prompt_id)
    return done


async def _until_done(socket: ClientConnection, prompt_id: str) -> None:
    async for frame in socket:
        if isinstance(frame, str):
            message: Any = msgspec.json.decode(frame)
            data = message["data"]
            if message["type"] == "executing" and data.get("node", "") is None and data.get("prompt_id") == prompt_id:
                return


async def _keep(http: httpx.AsyncClient, prompt_id: str, folder: Path) -> None:
    entry: Any = (await http.get(f"/history/{prompt_id}")).json()[prompt_id]
    for output in entry["outputs"].values():
        for place in output["images"]:
            data = (await http.get("/view", params=place)).content
            path = folder / f"{hashlib.sha256(data).hexdigest()}-{place['filename']}"
            with path.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
