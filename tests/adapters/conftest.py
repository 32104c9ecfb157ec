"""A worker that has torch, for the adapters to model libraries: with tiny models, in an environment of its own."""

import asyncio
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.adapters.studio import PYTHON, Studio

collect_ignore = [] if PYTHON else [path.name for path in Path(__file__).parent.glob("test_*.py")]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was left out."""
    if not PYTHON:
        terminalreporter.write_line("left out, for STOKER_TEST_TORCH_PYTHON names no Python with torch: tests/adapters")


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a pipeline in `diffusion` and a sentence transformer in `embeddings`, both with random weights."""
    folder = tmp_path_factory.mktemp("models")
    script = Path(__file__).parents[1] / "models" / "tiny.py"
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "TQDM_DISABLE": "1"}
    subprocess.run([PYTHON, str(script), str(folder)], env=environment, check=True, timeout=300)
    return folder


@pytest.fixture(scope="session")
def studio(tiny_models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    """One worker for both models, which tests share: to import what they need takes it longer than all else."""
    with asyncio.Runner() as runner:
        made = Studio(runner, tiny_models, tmp_path_factory.mktemp("studio"))
        made.start()
        try:
            yield made
        finally:
            made.stop()
