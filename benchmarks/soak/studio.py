"""What is killed: a daemon, the worker of its models, and two servers that it works with."""

import os
import signal
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.fakes.comfyui.files import write_model
from tests.fakes.comfyui.harness import ComfyProcess
from tests.fakes.openai.harness import OpenAIProcess

from stoker_client.private_daemon import PrivateDaemon

CHECKPOINTS = ("oak.safetensors", "elm.safetensors")
CONFIG = """
[engines.sprites]
model = "stoker_worker.models.sprites:Sprites"
options = {{ load_s = 0.2, step_s = 0.01 }}

[engines.comfyui]
kind = "comfyui"
url = "{comfyui}"

[engines.llm]
kind = "openai"
url = "{llm}"
limits.concurrency = 4
"""


class Studio:
    """All processes; each can be killed at any moment and is there again at once."""

    def __init__(self, folder: Path, comfyui: ComfyProcess, llm: OpenAIProcess) -> None:
        config = folder / "stokerd.toml"
        config.write_text(CONFIG.format(comfyui=comfyui.url, llm=llm.url))
        self.data_dir = folder / "data"
        self.daemon = PrivateDaemon(self.data_dir, args=["--config", str(config)])
        self.kill = {
            "daemon": self.daemon.restart,
            "worker": self._kill_worker,
            "comfyui": comfyui.restart,
            "llm": llm.restart,
        }

    def _kill_worker(self) -> None:
        """The daemon starts another one by itself."""
        with suppress(ProcessLookupError, FileNotFoundError, IndexError):  # none is there just now
            os.kill(int((self.data_dir / "workers" / "sprites.pid").read_text().split()[0]), signal.SIGKILL)


@contextmanager
def a_studio(folder: Path) -> Generator[Studio]:
    """A studio at work; at its end the daemon is stopped gracefully."""
    with (
        ComfyProcess(folder / "comfyui", load_s=0.2, step_s=0.01) as comfyui,
        OpenAIProcess(load_s=0.2, token_s=0.02) as llm,
    ):
        for name in CHECKPOINTS:
            write_model(folder / "comfyui/models/checkpoints" / name, "checkpoint")
        studio = Studio(folder, comfyui, llm)
        with studio.daemon:
            yield studio
