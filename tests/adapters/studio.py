"""The engine `python` over the adapters, as tests of them start it."""

import asyncio
import os
from collections.abc import Coroutine, Mapping
from pathlib import Path
from typing import Any, TypeVar

from tests.conformance.bench import Recorder, members

from stoker_daemon.engines.python import PythonEngine
from stoker_daemon.jobs.records import Resident
from stoker_protocol.worker import Hosted

PYTHON = os.environ.get("STOKER_TEST_TORCH_PYTHON", "")
"""A Python with torch, diffusers, transformers, sentence-transformers and stoker."""
PICTURES, VECTORS = "pictures", "vectors"
BOUND_S = 120.0
"""Seconds that anything may take: on a busy machine the imports alone need many."""
T = TypeVar("T")


def classes(models: Path) -> list[Hosted]:
    """Both adapters, each with its tiny model."""
    pipeline = {"path": str(models / "diffusion"), "steps": 4, "cfg": 3.0, "device": "cpu"}
    encoder = {"path": str(models / "embeddings" / "model"), "device": "cpu"}
    return [Hosted("diffusers", pipeline, PICTURES), Hosted("sentence_transformers", encoder, VECTORS)]


class Studio:
    """One worker that holds both models, driven from tests that know nothing of asyncio."""

    def __init__(self, runner: asyncio.Runner, models: Path, folder: Path) -> None:
        self._runner = runner
        os.environ.setdefault("OMP_NUM_THREADS", "1")  # threads that wait for each other cost more than they bring
        self.engine = PythonEngine(
            "studio",
            classes=classes(models),
            lane="gpu",
            pid_file=folder / "studio.pid",
            python=PYTHON,
            python_path=[str(Path(__file__).parents[2])],
            cache_mb=8000,
            memory_limit_mb=4000,
            start_timeout_s=BOUND_S,
            load_timeout_s=BOUND_S,
        )

    def start(self) -> None:
        """Begin, with nothing loaded."""
        self.wait(self.engine.start())

    def stop(self) -> None:
        """End the worker."""
        self.wait(self.engine.stop())

    def residents(self) -> list[Resident]:
        """What it holds."""
        return self.engine.residents()

    def wait(self, awaitable: Coroutine[Any, Any, T]) -> T:
        """The result, or a failed test when it does not come."""
        return self._runner.run(_within_bound(awaitable))

    def run(self, model: str, *items: Mapping[str, Any], wants_previews: bool = False) -> Recorder:
        """Run a batch to its end and return what was told."""
        recorder = Recorder(wants_previews=wants_previews)
        self.wait(self.engine.load(model))
        assert self.wait(self.engine.run("run", members(*items), recorder)) is True
        return recorder


async def _within_bound(awaitable: Coroutine[Any, Any, T]) -> T:
    async with asyncio.timeout(BOUND_S):
        return await awaitable
