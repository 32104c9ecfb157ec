"""The ComfyUI server that is measured: one that runs already, or one that is started from a checkout."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from tests.conformance.real_comfyui import FOLDERS, end, start, wait_until_serving
from tests.conformance.real_harness import free_port

from benchmarks.gpu.weights import write_checkpoints
from stoker_daemon.recipes.merging import NODE_PACK

ROOT = Path(__file__).parents[2]
NODES = ROOT / "clients/comfyui_nodes/stoker_nodes"
TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class Host:
    """A server; `shares` tells whether items of other seeds and texts can share a prompt there."""

    url: str
    version: str
    device: str
    checkpoints: Sequence[str]
    shares: bool
    is_gpu: bool

    def memory_gb(self) -> float:
        """What the server has taken of its GPU so far; it gives back nothing by itself."""
        (device, *_) = _ask(self.url, "/system_stats")["devices"]
        return device["torch_vram_total"] / 2**30

    def let_go(self) -> None:
        """Have it forget its models and results, so that what is measured next begins as this did."""
        body = {"unload_models": True, "free_memory": True}
        httpx.post(f"{self.url}/free", json=body, timeout=TIMEOUT_S, trust_env=False).raise_for_status()

    def history(self) -> dict[str, Any]:
        """All prompts that it has done."""
        return _ask(self.url, "/history")


def look_at(url: str) -> Host:
    """What a server is, by what it says."""
    url = url.rstrip("/")
    stats = _ask(url, "/system_stats")
    device = stats["devices"][0]
    return Host(
        url,
        stats["system"]["comfyui_version"],
        device["name"],
        _ask(url, "/models/checkpoints"),
        _ask(url, "/object_info").keys() >= NODE_PACK,
        device["type"] not in ("cpu", "mps"),
    )


@contextmanager
def started(checkout: Path, python: str, folder: Path, *, small: bool, cpu: bool) -> Generator[str]:
    """The address of a server that runs from a checkout in folders of its own, with random weights and our nodes."""
    for name in FOLDERS:
        (folder / name).mkdir(parents=True, exist_ok=True)
    link = folder / "custom_nodes" / NODES.name
    link.unlink(missing_ok=True)
    link.symlink_to(NODES)
    write_checkpoints(folder / "models", small=small)
    port = free_port()
    server = start(checkout, python, folder, port, cpu=cpu)
    try:
        wait_until_serving(f"http://127.0.0.1:{port}", server)
        yield f"http://127.0.0.1:{port}"
    finally:
        end(server)


def _ask(url: str, path: str) -> Any:
    response = httpx.get(url + path, timeout=TIMEOUT_S, trust_env=False)
    response.raise_for_status()
    return response.json()
