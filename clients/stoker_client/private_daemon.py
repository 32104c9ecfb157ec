"""A daemon of one's own in a directory: started, killed, restarted and stopped by whoever needs one."""

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from stoker_client.errors import DaemonUnavailable, InvalidState

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
            raise InvalidState("invalid_state", "the private daemon was not started")
        return self._process.pid

    def start(self) -> None:
        """Start it and wait until it is ready.

        Raises:
            DaemonUnavailable: It is not installed, or did not become ready; the message has its last words.
        """
        if self._python == sys.executable and find_spec("structlog") is None:  # one of the daemon's own dependencies
            raise DaemonUnavailable("stokerd is not installed here", hint='pip install "stoker[daemon]"')
        self.data_dir.mkdir(parents=True, exist_ok=True)
        self._endpoints.unlink(missing_ok=True)
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command(), stdout=subprocess.DEVNULL, stderr=log)  # noqa: S603  ours
        try:
            self._await_endpoints(self._process)
        except BaseException:
            self.kill()
            raise

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

    @property
    def _endpoints(self) -> Path:
        """The file that the daemon writes when it is ready."""
        return self.data_dir / "endpoints.json"

    def _command(self) -> list[str]:
        where = ["--data-dir", str(self.data_dir), "--control", self.control, "--events", self.events]
        return [self._python, "-m", "stoker_daemon", *where, *self._args]

    def _await_endpoints(self, process: subprocess.Popen[bytes]) -> None:
        until_s = time.monotonic() + START_TIMEOUT_S
        while not self._endpoints.exists():
            has_ended = process.poll() is not None
            if has_ended or time.monotonic() > until_s:
                how = "ended at once" if has_ended else f"is not ready after {START_TIMEOUT_S:g} s"
                raise DaemonUnavailable(f"stokerd {how}: {self._last_words()}", hint=f"its log is {self._log}")
            time.sleep(POLL_S)
        endpoints = json.loads(self._endpoints.read_text())
        self.control, self.events = endpoints["control"], endpoints["events"]

    def _last_words(self) -> str:
        lines = self._log.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"
