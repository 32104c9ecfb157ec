"""The ComfyUI servers whose facts are tried: fakes, and a real one if there is one; what is tried on real ones only."""

import json
import os
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from tests.conformance import real_llama
from tests.fakes.comfyui.harness import ComfyProcess

REAL_URL = os.environ.get("STOKER_TEST_COMFYUI")
ONLY_REAL = ["test_comfyui_nodes.py", "test_comfyui_shared_prompts.py"]
"""What no fake can show, since it is about the code of ComfyUI itself, which can't be installed where CI runs."""
LLAMA = ["test_llama_server.py"]
"""What is about a real llama.cpp server, which takes too long to build where CI runs."""
collect_ignore = [*([] if REAL_URL else ONLY_REAL), *([] if real_llama.SERVER else LLAMA)]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was left out."""
    if not REAL_URL:
        terminalreporter.write_line(f"left out, for STOKER_TEST_COMFYUI names no real ComfyUI: {', '.join(ONLY_REAL)}")
    if not real_llama.SERVER:
        terminalreporter.write_line(f"left out, for STOKER_TEST_LLAMA_SERVER names no llama-server: {', '.join(LLAMA)}")


@dataclass(frozen=True)
class ComfyServer:
    """A server, the version that it says it has, and the first checkpoint that it offers."""

    url: str
    version: tuple[int, ...]
    checkpoint: str


@pytest.fixture(scope="session", params=["fake 0.12.1", "fake 0.33.0", *(["real"] if REAL_URL else [])])
def comfyui(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComfyServer]:
    """A server that tests share; a real one needs the nodes of `comfyui_nodes.py` and a checkpoint."""
    kind, _, version = request.param.partition(" ")
    if kind == "real":
        assert REAL_URL is not None
        yield _look_at(REAL_URL)
        return
    with ComfyProcess(tmp_path_factory.mktemp("comfyui"), version=version, preview_method="latent2rgb") as fake:
        yield _look_at(fake.url)


def _look_at(url: str) -> ComfyServer:
    with urllib.request.urlopen(f"{url}/system_stats") as reply:
        version = json.load(reply)["system"]["comfyui_version"]
    with urllib.request.urlopen(f"{url}/models/checkpoints") as reply:
        checkpoint = json.load(reply)[0]
    return ComfyServer(url, tuple(int(part) for part in version.split(".")), checkpoint)
