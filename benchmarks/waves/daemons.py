"""What is measured: one order of work of one real daemon over one kind of engine."""

import random
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import httpx
from tests.fakes.comfyui.files import write_model
from tests.fakes.comfyui.harness import ComfyProcess

from benchmarks.core.load import ask
from benchmarks.waves.variants import NAMES
from stoker_client import Client
from stoker_client.private_daemon import PrivateDaemon
from stoker_protocol import codec
from stoker_protocol.jobs import Queue
from stoker_protocol.replies import SnapshotPage
from stoker_protocol.requests import GetSnapshot

ROOT = Path(__file__).parents[2]
SEED = 20
TIMEOUT_S = 3600.0
LOOK_S = 0.05

CountLoads = Callable[[Client], int]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How often a model was loaded, and how long all took."""

    loads: int
    seconds: float


class Kind(Protocol):
    """A kind of engine."""

    name: str

    def serve(self, folder: Path, load_s: float, /) -> AbstractContextManager[tuple[str, CountLoads]]:
        """A context in which it works; gives the daemon's `[engines...]` and a function that counts loads."""
        ...


class Sprites:
    """Model classes in a worker of the daemon, one model at a time."""

    name = "python"

    @contextmanager
    def serve(self, _folder: Path, load_s: float) -> Generator[tuple[str, CountLoads]]:
        engine = (
            f'[engines.trees]\nmodel = "benchmarks.waves.variants:Variants"\npython_path = ["{ROOT}"]\n'
            f"options = {{ load_s = {load_s} }}\n"
        )
        yield engine, lambda client: sum(lane.loads for lane in client.snapshot().lanes)


class ComfyUI:
    """The tests' fake of ComfyUI with its classic cache, which keeps only what the last prompt used."""

    name = "comfyui"

    @contextmanager
    def serve(self, folder: Path, load_s: float) -> Generator[tuple[str, CountLoads]]:
        with ComfyProcess(folder / "server", load_s=load_s) as server:
            for name in NAMES:
                write_model(folder / "server/models/checkpoints" / f"{name}.safetensors", "checkpoint")
            yield f'[engines.comfyui]\nkind = "comfyui"\nurl = "{server.url}"\n', lambda _: _loads(server.url)


def measure(kind: Kind, policy: str, items: int, load_s: float, folder: Path) -> Outcome:
    """Let a daemon work off jobs of one item each, for five models in shuffled order, that all wait already."""
    with tempfile.TemporaryDirectory(dir=folder) as scratch, kind.serve(Path(scratch), load_s) as (engine, loads):
        config = Path(scratch) / "stokerd.toml"
        config.write_text(f'[scheduling]\npolicy = "{policy}"\n{engine}')
        with (
            PrivateDaemon(Path(scratch) / "data", args=["--config", str(config)]) as daemon,
            Client(daemon.control, timeout_s=60) as client,
        ):
            client.pause(reason="until all are there")
            _submit(client, kind, items)
            began_s = time.monotonic()
            client.resume()
            _await_empty(daemon.control)
            return Outcome(loads(client), time.monotonic() - began_s)


def _submit(client: Client, kind: Kind, items: int) -> None:
    order = [NAMES[number % len(NAMES)] for number in range(items)]
    random.Random(SEED).shuffle(order)
    suffix = ".safetensors" if kind.name == "comfyui" else ""
    for number, name in enumerate(order):
        client.submit([f"tree {number}"], model=name + suffix, params={"seed": number})


def _await_empty(endpoint: str) -> None:
    until_s = time.monotonic() + TIMEOUT_S
    while (queue := _queue(endpoint)).pending or queue.running:
        assert time.monotonic() < until_s, queue
        time.sleep(LOOK_S)


def _queue(endpoint: str) -> Queue:
    page = codec.decode_reply(ask(endpoint, codec.encode(GetSnapshot(id="1", limit=1))))
    assert isinstance(page, SnapshotPage), page
    return page.queue


def _loads(url: str) -> int:
    """In how many of its prompts a server had to load the checkpoint, by what it says was cached."""
    entries: dict[str, Any] = httpx.get(f"{url}/history", timeout=60, trust_env=False).json()
    return sum(_had_to_load(entry) for entry in entries.values())


def _had_to_load(entry: dict[str, Any]) -> bool:
    graph = entry["prompt"][2]
    loaders = {number for number, node in graph.items() if node["class_type"] == "CheckpointLoaderSimple"}
    said: dict[str, Any] = dict(entry["status"]["messages"])
    return bool(loaders - set(said["execution_cached"]["nodes"]))
