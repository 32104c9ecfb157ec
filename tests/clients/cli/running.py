"""What tests of the command share: what a run brought, and `stoker` as a process, on a terminal or not."""

import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

PATIENCE_S = 60.0


class Ran(NamedTuple):
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Its standard output, which is one JSON document."""
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        """Its standard output, which is JSON lines."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def error(self) -> dict[str, Any]:
        """Its standard error, which is an error in JSON."""
        return json.loads(self.err)["error"]


def command(*args: str) -> list[str]:
    """The command line of a process that is `stoker`."""
    return [sys.executable, "-c", "from stoker_client.cli import main; main()", *args]


def run_process(*args: str, endpoint: str = "", stdin: str = "", **env: str) -> Ran:
    """Run `stoker` as a process of its own."""
    done = subprocess.run(
        command(*args), input=stdin, env=environment(endpoint, env), capture_output=True, text=True, timeout=PATIENCE_S
    )
    return Ran(done.returncode, done.stdout, done.stderr)


def environment(endpoint: str, more: dict[str, str]) -> dict[str, str]:
    """The environment of a process that is `stoker`, on a terminal of 100 columns."""
    plain = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR", "COLUMNS")}
    return {**plain, "STOKER_ENDPOINT": endpoint, "TERM": "xterm-256color", "COLUMNS": "100", **more}


class Shown:
    """A running `stoker`: `screen` is all that it printed so far, errors too."""

    def __init__(self, process: subprocess.Popen[bytes], handle: int) -> None:
        self._process = process
        self._handle = handle
        self._printed = b""

    @property
    def screen(self) -> str:
        """All that was printed so far, with its control characters."""
        with suppress(OSError):  # nothing more for now, or the process closed its end
            while data := os.read(self._handle, 65536):
                self._printed += data
        return self._printed.decode(errors="replace")

    @property
    def lines(self) -> list[Any]:
        """What was printed so far, as JSON lines."""
        return [json.loads(line) for line in self.screen.splitlines(keepends=True) if line.endswith("\n")]

    def wait_for(self, condition: Callable[[str], bool]) -> str:
        """The screen when the condition holds."""
        until_s = time.monotonic() + PATIENCE_S
        while not condition(self.screen):
            assert time.monotonic() < until_s, f"not on the screen: {self.screen}"
            time.sleep(0.01)  # polls the screen
        return self.screen

    def type(self, text: str) -> None:
        """Press keys."""
        os.write(self._handle, text.encode())

    def interrupt(self) -> None:
        """Press Ctrl+C."""
        self._process.send_signal(signal.SIGINT)

    def end(self) -> int:
        """The exit code, once the process has ended."""
        return self._process.wait(PATIENCE_S)


@contextmanager
def terminal(*args: str, endpoint: str = "", **env: str) -> Generator[Shown]:
    """Run `stoker` on a terminal of its own."""
    ours, theirs = pty.openpty()
    with _running(args, endpoint, env, ours, theirs) as shown:
        yield shown


@contextmanager
def piped(*args: str, endpoint: str = "", **env: str) -> Generator[Shown]:
    """Run `stoker` into a pipe."""
    ours, theirs = os.pipe()
    with _running(args, endpoint, env, ours, theirs) as shown:
        yield shown


@contextmanager
def _running(args: tuple[str, ...], endpoint: str, env: dict[str, str], ours: int, theirs: int) -> Generator[Shown]:
    os.set_blocking(ours, False)
    stdin = theirs if os.isatty(theirs) else subprocess.DEVNULL
    process = subprocess.Popen(
        command(*args), stdin=stdin, stdout=theirs, stderr=theirs, env=environment(endpoint, env)
    )
    os.close(theirs)
    try:
        yield Shown(process, ours)
    finally:
        process.kill()
        process.wait(PATIENCE_S)
        os.close(ours)
