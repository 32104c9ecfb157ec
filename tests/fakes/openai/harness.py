"""Starts, kills and restarts a fake server with OpenAI's API in a process of its own, for tests."""

import json
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self, cast

REPOSITORY = Path(__file__).parents[3]

_ANSWER_S = 30


class OpenAIProcess:
    """A fake server. It ends with the process that started it, too."""

    MODULE = "tests.fakes.openai"

    def __init__(self, *, key: str = "", **defects: Any) -> None:
        """Start it; `defects` are switches of `defects.py`."""
        self._key = key
        self._defects = defects
        self._port = 0
        self._process: subprocess.Popen[str] | None = None
        self.url = ""
        self.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def start(self) -> None:
        """Start it, on the port that it had before, if it had one."""
        options = [f"--port={self._port}", f"--key={self._key}", f"--defects={json.dumps(self._defects)}"]
        self.kill()
        self._process = subprocess.Popen(
            [sys.executable, "-m", self.MODULE, *options],
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.url = cast(IO[str], self._process.stdout).readline().strip()
        assert self.url.startswith("http://"), "the fake did not start; its errors are above"
        self._port = int(self.url.removesuffix("/v1").rpartition(":")[2])

    def kill(self) -> None:
        """End it as `kill -9` does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(_ANSWER_S)
            for pipe in (self._process.stdin, self._process.stdout):
                cast(IO[str], pipe).close()
            self._process = None

    def restart(self) -> None:
        """Start it again, after a kill if it runs."""
        self.kill()
        self.start()

    def defects(self, **values: Any) -> None:
        """Set switches of `defects.py`."""
        self._ask("/fake/defects", values)

    def release(self) -> None:
        """Let all held requests go on."""
        self._ask("/fake/release", {})

    def state(self) -> dict[str, Any]:
        """All requests, how many by path, the models in the order of their loads, how many are open or held."""
        return self._ask("/fake/state")

    def wait_until_held(self, requests: int = 1) -> None:
        """Wait until so many requests are held."""
        until = time.monotonic() + _ANSWER_S
        while self.state()["held"] != requests:
            assert time.monotonic() < until, "no request was held"
            time.sleep(0.005)  # polls for the request

    def _ask(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        with urllib.request.urlopen(
            urllib.request.Request(self.url.removesuffix("/v1") + path, data, headers), timeout=_ANSWER_S
        ) as reply:
            return json.loads(reply.read())
