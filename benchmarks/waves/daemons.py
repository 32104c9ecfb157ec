"""What is measured: one order of work of one real daemon over one kind of engine."""

import random
import tempfile
import time
from collections.abc import Callable, Generator, Mapping, Sequence
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

SMALL: Mapping[str, Any] = {"width": 64, "height": 64, "steps": 1}
"""Pictures for a server whose loads are to be counted."""

CountLoads = Callable[[Client], int]


Server = tuple[str, CountLoads]
"""What a daemon's `[engines...]` is to say, and how loads are counted since then."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How often a model was loaded, and how long all took."""

    loads: int
    seconds: float


class Kind(Protocol):
    """A kind of engine, with its models and what its jobs are to say besides."""

    @property
    def name(self) -> str: ...

    @property
    def models(self) -> Sequence[str]: ...

    @property
    def params(self) -> Mapping[str, Any]: ...

    def serve(self, folder: Path, load_s: float, /) -> AbstractContextManager[Server]:
        """A context in which it works."""
        ...


class Sprites:
    """Model classes in a worker of the daemon, one model at a time."""

    name = "python"
    models = NAMES
    params: Mapping[str, Any] = {}

    @contextmanager
    def serve(self, _folder: Path, load_s: float) -> Generator[Server]:
        engine = (
            f'[engines.trees]\nmodel = "benchmarks.waves.variants:Variants"\npython_path = ["{ROOT}"]\n'
            f"options = {{ load_s = {load_s} }}\n"
        )
        yield engine, lambda client: sum(lane.loads for lane in client.snapshot().lanes)


class ComfyUI:
    """The tests' fake of ComfyUI with its classic cache, which keeps only what the last prompt used."""

    name = "comfyui"
    models = tuple(f"{name}.safetensors" for name in NAMES)
    params: Mapping[str, Any] = {}

    @contextmanager
    def serve(self, folder: Path, load_s: float) -> Generator[Server]:
        with ComfyProcess(folder / "server", load_s=load_s) as server:
            for name in self.models:
                write_model(folder / "server/models/checkpoints" / name, "checkpoint")
            yield engine_at(server.url), lambda _: len(loads_at(server.url))


@dataclass(frozen=True, slots=True)
class RealComfyUI:
    """A server that runs already, with checkpoints of its own; small pictures do, for what counts are loads."""

    url: str
    models: Sequence[str]
    params: Mapping[str, Any]
    name: str = "real comfyui"

    @contextmanager
    def serve(self, _folder: Path, _load_s: float) -> Generator[Server]:
        before = loads_at(self.url).keys()
        yield engine_at(self.url), lambda _: len(loads_at(self.url).keys() - before)


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
            await_empty(daemon.control)
            return Outcome(loads(client), time.monotonic() - began_s)


def shuffled(models: Sequence[str], items: int) -> list[str]:
    """The model of each item, always in the same order."""
    order = [models[number % len(models)] for number in range(items)]
    random.Random(SEED).shuffle(order)
    return order


def _submit(client: Client, kind: Kind, items: int) -> None:
    first = random.SystemRandom().randrange(1 << 40)  # a server that was asked before must not know the answers
    for number, name in enumerate(shuffled(kind.models, items)):
        client.submit([f"tree {number}"], model=name, params={**kind.params, "seed": first + number})


def await_empty(endpoint: str, timeout_s: float = TIMEOUT_S, look_s: float = LOOK_S) -> None:
    """Wait until nothing waits and nothing runs."""
    until_s = time.monotonic() + timeout_s
    while (queue := _queue(endpoint)).pending or queue.running:
        assert time.monotonic() < until_s, queue
        time.sleep(look_s)


def _queue(endpoint: str) -> Queue:
    page = codec.decode_reply(ask(endpoint, codec.encode(GetSnapshot(id="1", limit=1))))
    assert isinstance(page, SnapshotPage), page
    return page.queue


def engine_at(url: str) -> str:
    """The part of a configuration that names a ComfyUI server."""
    return f'[engines.comfyui]\nkind = "comfyui"\nurl = "{url}"\n'


def loads_at(url: str) -> dict[str, str]:
    """The prompts for which a server had to load a checkpoint, and which, by what it says that it had not to run."""
    entries: dict[str, Any] = httpx.get(f"{url}/history", timeout=60, trust_env=False).json()
    loads = {prompt_id: _loaded(entry) for prompt_id, entry in entries.items()}
    return {prompt_id: name for prompt_id, name in loads.items() if name}


def _loaded(entry: dict[str, Any]) -> str:
    said: dict[str, Any] = dict(entry["status"]["messages"])
    cached = said["execution_cached"]["nodes"]
    nodes = [node for node_id, node in entry["prompt"][2].items() if node_id not in cached]
    loaders = [node for node in nodes if node["class_type"] == "CheckpointLoaderSimple"]
    return loaders[0]["inputs"]["ckpt_name"] if loaders else ""
