"""Starts, kills and restarts a fake ComfyUI in a process of its own, for tests."""

import json
import os
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self, cast

REPOSITORY = Path(__file__).parents[3]

_ANSWER_S = 30
_HASH_SEED = "2"  # with it the outputs of the recorded prompts come in the order that was recorded


class ComfyProcess:
    """A fake server in a directory. It ends with the process that started it, too."""

    def __init__(self, directory: Path, **options: Any) -> None:
        """Start it.

        Arguments:
            directory: holds its folders; made if it isn't there.
            options: `port`, `version`, `cache`, `preview_method`, `stoker_nodes`; all others are those of `defects.py`.

        The order of a prompt's outputs is that of a set: the same in each process that this class starts.
        """
        self.directory = directory
        self._settings = {name: options.pop(name) for name in _SETTINGS if name in options}
        self._defects = options
        self._port: int = self._settings.pop("port", 0)
        self._process: subprocess.Popen[str] | None = None
        self.url = ""
        self.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it, on the port that it had before, if it had one; its switches are those it was made with."""
        self.directory.mkdir(parents=True, exist_ok=True)
        settings = [f"--{name.replace('_', '-')}={value}" for name, value in self._settings.items()]
        defects = [f"--defect={name}={_word(value)}" for name, value in self._defects.items()]
        command = [sys.executable, "-m", "tests.fakes.comfyui", f"--directory={self.directory}", f"--port={self._port}"]
        self._process = subprocess.Popen(
            [*command, *settings, *defects],
            cwd=REPOSITORY,
            env=os.environ | {"PYTHONHASHSEED": _HASH_SEED},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.url = cast(IO[str], self._process.stdout).readline().strip()
        assert self.url.startswith("http://"), "the fake did not start; its errors are above"
        self._port = int(self.url.rpartition(":")[2])

    def kill(self) -> None:
        """End it as `kill -9` does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(_ANSWER_S)
            for pipe in (self._process.stdin, self._process.stdout):
                cast(IO[str], pipe).close()
            self._process = None

    def restart(self) -> None:
        """Kill it and start it again on the same port: files are left, all else is lost."""
        self.kill()
        self.start()

    def defects(self, **values: Any) -> dict[str, Any]:
        """Set switches of `defects.py`; all of them are returned."""
        return self._ask("POST", "/fake/defects", values)

    def release(self, runs: int = 1) -> None:
        """Let so many held runs go on, now or when they come."""
        self._ask("POST", "/fake/release", {"runs": runs})

    def state(self) -> dict[str, Any]:
        """The switches, requests by path, how many sockets and held runs there are, and whether the worker lives."""
        return self._ask("GET", "/fake/state")

    def executions(self) -> list[str]:
        """The ids of all prompts whose execution began, in order, over all restarts."""
        log = self.directory / "executions.log"
        return log.read_text(encoding="utf-8").splitlines() if log.exists() else []

    def wait_until_held(self, runs: int = 1) -> None:
        """Wait until so many runs are held."""
        until = time.monotonic() + _ANSWER_S
        while self.state()["held"] != runs:
            assert time.monotonic() < until, "no run was held"
            time.sleep(0.005)  # polls for the run

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.url}{path}", data, headers, method=method)
        with urllib.request.urlopen(request, timeout=_ANSWER_S) as reply:
            content = reply.read()
        return json.loads(content) if content else {}


_SETTINGS = ("port", "version", "cache", "preview_method", "stoker_nodes")


def _word(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
