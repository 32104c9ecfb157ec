"""A daemon of one's own in a directory: started, killed, restarted and stopped by whoever needs one."""

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from stoker_client.errors import DaemonUnavailable, StokerError
from stoker_client.sync_client import Client

START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 60.0
POLL_S = 0.01


class PrivateDaemon:
    """Runs `stokerd` on free loopback ports; a restart keeps the ports. Its log is `stokerd.log` in the directory."""

    def __init__(self, data_dir: Path, *, args: Sequence[str] = (), python: str = sys.executable) -> None:
        """`args` are further options of `stokerd`; `python` is an interpreter that has it."""
        self.data_dir = data_dir
        self.control = "tcp://127.0.0.1:0"
        self.events = "tcp://127.0.0.1:0"
        self._args = args
        self._python = python
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "PrivateDaemon":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The daemon's process."""
        if self._process is None:
            raise StokerError("invalid_state", "the private daemon is not running")
        return self._process.pid

    def start(self) -> None:
        """Start it and wait until it answers.

        Raises:
            StokerError: It is not installed, or ended at once; the message has its last words.
            DaemonUnavailable: It does not answer.
        """
        if self._python == sys.executable and find_spec("structlog") is None:  # one of the daemon's own dependencies
            raise _not_installed()
        self.data_dir.mkdir(parents=True, exist_ok=True)
        file = self.data_dir / "endpoints.json"
        file.unlink(missing_ok=True)
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command(), stdout=subprocess.DEVNULL, stderr=log)  # noqa: S603 - ours
        self._await_endpoints(file)
        with Client(self.control, timeout_s=START_TIMEOUT_S) as client:
            client.ping()

    def kill(self) -> None:
        """End it as a power cut would: at once and without a word."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(STOP_TIMEOUT_S)

    def restart(self) -> None:
        """Kill it if it runs, and start it on the same ports."""
        self.kill()
        self.start()

    def stop(self) -> None:
        """Stop it gracefully, or kill it when it does not end."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.kill()

    @property
    def _log(self) -> Path:
        return self.data_dir / "stokerd.log"

    def _command(self) -> list[str]:
        where = ["--data-dir", str(self.data_dir), "--control", self.control, "--events", self.events]
        return [self._python, "-m", "stoker_daemon", *where, *self._args]

    def _await_endpoints(self, file: Path) -> None:
        until_s = time.monotonic() + START_TIMEOUT_S
        while not file.exists():
            if self._process is not None and self._process.poll() is not None:
                raise StokerError("engine_unavailable", f"stokerd ended at once: {self._last_words()}")
            if time.monotonic() > until_s:
                raise DaemonUnavailable(self.control, hint=f"its log is {self._log}")
            time.sleep(POLL_S)
        endpoints = json.loads(file.read_text())
        self.control, self.events = endpoints["control"], endpoints["events"]

    def _last_words(self) -> str:
        lines = self._log.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"


def _not_installed() -> StokerError:
    error = StokerError(
        "engine_unavailable", "stokerd is not installed here", hint='pip install "stoker[daemon]", then try again'
    )
    error.exit_code = DaemonUnavailable.exit_code
    return error
