"""What tests of the ComfyUI engine have in common: an engine at work, runs of items and of workflows, a stranger."""

import asyncio
import json
import urllib.request
import uuid
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.conformance import comfyui_case
from tests.conformance.bench import Recorder, members, started, submit, until
from tests.fakes.comfyui.harness import ComfyProcess

from stoker_daemon.engines.comfyui import ComfyEngine
from stoker_daemon.jobs.records import Interrupted, Member
from stoker_protocol.codec import pack
from stoker_protocol.requests import ItemSpec, Submit

ITEM = {"prompt": "x"}
HELD = {"prompt": "x", "seconds": -1.0}
Graph = dict[str, dict[str, Any]]


@asynccontextmanager
async def at_work(server: ComfyProcess, folder: Path, **options: Any) -> AsyncGenerator[ComfyEngine]:
    """An engine for the server, listening to its stream."""
    async with started(comfyui_case.engine(folder, server.url, **options)) as engine:
        await until(lambda: server.state()["connections"] > 0)
        yield engine


def run_items(
    engine: ComfyEngine, recorder: Recorder, *items: Mapping[str, Any], run_id: str = "run"
) -> Coroutine[Any, Any, bool]:
    """A run over these items, not begun yet."""
    return engine.run(run_id, members(*items, template=engine.place(submit(*items)).template), recorder)


def run_graphs(
    engine: ComfyEngine, recorder: Recorder, *graphs: Graph, run_id: str = "run"
) -> Coroutine[Any, Any, bool]:
    """A run over these workflows, not begun yet."""
    return engine.run(run_id, [_of_graph(engine, n, graph) for n, graph in enumerate(graphs)], recorder)


def tried(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Play a scenario to its end."""
    asyncio.run(scenario())


def cut_short(run_id: str, items: Sequence[Mapping[str, Any]]) -> Interrupted:
    """A run as a later daemon finds it."""
    return Interrupted(run_id, "gpu", "comfyui", tuple(members(*items)), frozenset())


def image(color: int = 0, **saved: Any) -> Graph:
    """A workflow that saves an image, or does what is `saved` by class name, with these inputs, instead."""
    graph: Graph = {
        "1": {"class_type": "EmptyImage", "inputs": {"width": 8, "height": 8, "batch_size": 2, "color": color}}
    }
    for number, (name, inputs) in enumerate((saved or {"SaveImage": {}}).items(), start=2):
        prefix = {"filename_prefix": ""} if name.startswith("Save") else {}
        graph[str(number)] = {"class_type": name, "inputs": {"images": ["1", 0], **prefix, **inputs}}
    return graph


def held(color: int = 0) -> Graph:
    """A workflow that is at work until it is released or interrupted."""
    graph = image(color)
    graph["3"] = {"class_type": "StokerTestSleep", "inputs": {"image": ["1", 0], "seconds": -1.0, "blocking": False}}
    graph["2"]["inputs"]["images"] = ["3", 0]
    return graph


class Stranger:
    """Somebody else who uses the server."""

    def __init__(self, server: ComfyProcess) -> None:
        self._server = server

    def post(self, path: str, body: Mapping[str, Any]) -> bytes:
        """Tell the server something."""
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self._server.url + path, json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request, timeout=30) as reply:
            return reply.read()

    def submit(self, graph: Graph | None = None) -> str:
        """Send a prompt of theirs; its id."""
        prompt_id = str(uuid.uuid4())
        self.post("/prompt", {"prompt": graph or image(int(prompt_id[:6], 16)), "prompt_id": prompt_id})
        return prompt_id

    def queue(self) -> tuple[list[str], list[str]]:
        """The ids of the prompts at work and of those that wait."""
        running, pending = self._listed()
        return [one[1] for one in running], [one[1] for one in pending]

    def numbers(self) -> list[float]:
        """The numbers of all prompts in the queue."""
        return [one[0] for part in self._listed() for one in part]

    def _listed(self) -> tuple[list[Any], list[Any]]:
        with urllib.request.urlopen(f"{self._server.url}/queue", timeout=30) as reply:
            queue = json.load(reply)
        return queue["queue_running"], queue["queue_pending"]


def _of_graph(engine: ComfyEngine, position: int, graph: Graph) -> Member:
    request = Submit(id="1", job_id="job", workflow=pack(graph), items=[ItemSpec()])
    return replace(members({}, template=engine.place(request).template)[0], position=position, index=position)
