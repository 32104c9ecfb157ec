"""A real ComfyUI as tests of faults handle the fake: started, killed, restarted, and asked what it executed."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.worker.processes import wait_for

SERVER = os.environ.get("STOKER_TEST_COMFYUI_SERVER", "")
"""A checkout of ComfyUI; `STOKER_TEST_COMFYUI_PYTHON` is a Python that has what it requires."""
PYTHON = os.environ.get("STOKER_TEST_COMFYUI_PYTHON", sys.executable)
DIRECTORY = Path(os.environ.get("STOKER_TEST_COMFYUI_DIRECTORY", "/tmp/stoker-test-comfyui"))
"""Kept from run to run: its models take a while to make."""
REPOSITORY = Path(__file__).parents[2]


class RealComfy:
    """The one real server of a test run. Leaving its block only waits until nothing is at work."""

    def __init__(self) -> None:
        self.directory = DIRECTORY
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self._launcher: subprocess.Popen[bytes] | None = None
        self._first = 0

    def __enter__(self) -> Self:
        if self._launcher is None:
            self.start()
        self._first = len(self._executed())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._launcher is not None and self.state()["held"]:
            self.release()

    def start(self) -> None:
        """Start it and wait until it answers."""
        command = [sys.executable, "-m", "tests.conformance.real_comfyui", "--server", SERVER, "--python", PYTHON]
        self._launcher = subprocess.Popen(
            [*command, "--directory", str(DIRECTORY), "--port", str(self._port)],
            cwd=REPOSITORY,
            stdout=subprocess.DEVNULL,
        )
        until = time.monotonic() + 300
        while not self._answers():
            assert time.monotonic() < until, "the server does not start"
            assert self._launcher.poll() is None, "the server ended"
            time.sleep(0.1)  # polls

    def kill(self) -> None:
        """End it as `kill -9` does."""
        assert self._launcher is not None
        os.kill(int((DIRECTORY / "server.pid").read_text()), signal.SIGKILL)
        self._launcher.wait(30)
        self._launcher = None

    def restart(self) -> None:
        """Kill it and start it again on the same port."""
        self.kill()
        self.start()

    def close(self) -> None:
        """End it for good."""
        if self._launcher is not None:
            self.kill()

    def release(self) -> None:
        """Let the held run go on, now or when it comes."""
        self._ask("/fake/release", {"runs": 1})

    def state(self) -> dict[str, Any]:
        """How many runs are held; who listens, a real server does not tell."""
        running: list[Any] = self._ask("/queue")["queue_running"]
        held = [prompt for prompt in running if '"seconds": -1' in json.dumps(prompt[2])]
        return {"held": len(held), "connections": 1}

    def wait_until_held(self) -> None:
        """Wait until a run is held."""
        wait_for(lambda: self.state()["held"] == 1 and len(self.executions()) > 0)

    def executions(self) -> list[str]:
        """The ids of all prompts whose execution began in this block, in order, over all restarts."""
        return self._executed()[self._first :]

    def _executed(self) -> list[str]:
        log = DIRECTORY / "executions.log"
        return log.read_text(encoding="utf-8").splitlines() if log.exists() else []

    def _answers(self) -> bool:
        try:
            self._ask("/prompt")
        except OSError:
            return False
        return True

    def _ask(self, path: str, body: dict[str, Any] | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}{path}", data, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as reply:
            content = reply.read()
        return json.loads(content) if content else {}


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@cache
def real_server() -> RealComfy:
    """The server, not started yet."""
    return RealComfy()
