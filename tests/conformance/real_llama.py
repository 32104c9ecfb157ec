"""A real llama.cpp server over tiny models, which loads what it is asked for and counts that in its log."""

import os
import re
import subprocess
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.conformance.real_harness import free_port
from tests.conformance.tiny_gguf import write_model

SERVER = os.environ.get("STOKER_TEST_LLAMA_SERVER", "")
"""The program `llama-server`, of a version that serves a directory of models (`--models-dir`)."""
MODELS = [f"tiny-{number}" for number in range(5)]
SLOTS = 4
_LOAD = re.compile(r"spawning server instance with name=(\S+)")
_START_S = 60


class LlamaServer:
    """One that holds a single model at a time; it ends with `kill`, the processes of its models with it."""

    def __init__(self, folder: Path, *options: str) -> None:
        """Start it with further options."""
        models = folder / "models"
        models.mkdir(parents=True)
        for seed, model in enumerate(MODELS):
            write_model(models / f"{model}.gguf", seed)
        self._port = free_port()
        self._argv = [SERVER, "--models-dir", str(models), "--models-max", "1", "--port", str(self._port), *options]
        self._log = folder / "llama.log"
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"http://127.0.0.1:{self._port}/v1"
        self.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def start(self) -> None:
        """Start it on its port, and wait until it answers."""
        slots: Sequence[str] = ("--offline", "--device", "none", "--threads", "1", "--parallel", str(SLOTS))
        with self._log.open("ab") as log:
            self._process = subprocess.Popen([*self._argv, *slots], stdout=log, stderr=log, start_new_session=True)
        until_s = time.monotonic() + _START_S
        while not self._answers():
            assert self._process.poll() is None, f"the server did not start: {self._log.read_text()[-2000:]}"
            assert time.monotonic() < until_s, "the server does not answer"
            time.sleep(0.05)  # polls for the server

    def kill(self) -> None:
        """End it as `kill -9` does, and the processes of its models."""
        if self._process is not None:
            os.killpg(self._process.pid, 9)
            self._process.wait(_START_S)
            self._process = None

    @property
    def loads(self) -> list[str]:
        """The models in the order of their loads, since the first start."""
        return _LOAD.findall(self._log.read_text(errors="replace"))

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/models", timeout=5) as reply:
                return reply.status == 200
        except OSError:
            return False
