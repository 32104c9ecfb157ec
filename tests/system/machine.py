"""A machine to install on: a small Debian with a systemd of its own, in a container that sees nothing of the host."""

import os
import shutil
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.system.daemons import REPOSITORY
from tests.worker.processes import wait_for

PACKAGES = "systemd,systemd-sysv,dbus,python3,python3-venv,make"
BUILD_S, COMMAND_S = 600, 120


class Machine:
    """The container's root, and its systemd once it was booted."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._leader = 0

    def run_unbooted(self, *command: str) -> str:
        """Run a command in it before it was booted, without a network."""
        return _output([*self._nspawn(), "--setenv=PIP_NO_INDEX=1", "--setenv=PIP_FIND_LINKS=/wheels", *command])

    @contextmanager
    def booted(self) -> Generator[None]:
        """Boot it, and end all that runs in it at the end."""
        with subprocess.Popen([*self._nspawn(), "--boot"], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL) as nspawn:
            try:
                wait_for(lambda: self._found_leader(nspawn.pid))
                wait_for(lambda: self.ask("systemctl", "is-system-running") in ("running", "degraded"))
                yield
            finally:
                nspawn.kill()

    def run(self, *command: str) -> str:
        """What a command in it prints; one that fails fails the test."""
        return _output(["nsenter", "-t", str(self._leader), "-m", "-u", "-i", "-n", "-p", "-C", *command])

    def ask(self, *command: str) -> str:
        """What a command in it prints, however it ends."""
        entered = ["nsenter", "-t", str(self._leader), "-m", "-u", "-i", "-n", "-p", "-C", *command]
        return subprocess.run(entered, capture_output=True, text=True, timeout=COMMAND_S, check=False).stdout.strip()

    def property(self, name: str) -> str:
        """What its systemd knows of stokerd."""
        return self.run("systemctl", "show", "stokerd", "--value", "-p", name)

    def write(self, path: str, text: str) -> None:
        """A file in it."""
        file = self.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def _nspawn(self) -> list[str]:
        alone = ["--register=no", "--keep-unit", "--private-network", "--link-journal=no"]
        return ["systemd-nspawn", "--quiet", "-D", str(self.root), *alone]

    def _found_leader(self, nspawn_pid: int) -> bool:
        for child in Path(f"/proc/{nspawn_pid}/task/{nspawn_pid}/children").read_text().split():
            if Path(f"/proc/{child}/comm").read_text() == "systemd\n":
                self._leader = int(child)
        return bool(self._leader)


def build(folder: Path) -> Machine:
    """A Debian with the packages that an installation needs, this project's source, and the wheels that it takes."""
    lacking = [tool for tool in ("mmdebstrap", "systemd-nspawn", "nsenter") if shutil.which(tool) is None]
    if lacking or os.geteuid() != 0:
        pytest.skip("no machine to install on: it takes root, mmdebstrap and systemd-container (Debian's packages)")
    root = folder / "root"
    hasty = ["--quiet", "--variant=minbase", "--dpkgopt=force-unsafe-io", f"--include={PACKAGES}"]
    _output(["mmdebstrap", *hasty, "bookworm", str(root)], BUILD_S)
    wheels = [sys.executable, "-m", "pip", "wheel", "--quiet", "--wheel-dir", str(root / "wheels")]
    _output([*wheels, "hatchling", f"{REPOSITORY}[daemon]"], BUILD_S)
    ignored = shutil.ignore_patterns(".*", "__pycache__")
    shutil.copytree(REPOSITORY, root / "src", ignore=ignored)
    return Machine(root)


def _output(command: list[str], timeout_s: float = COMMAND_S) -> str:
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=timeout_s, check=False, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 0, f"{' '.join(command)}: {done.stdout}\n{done.stderr}"
    return done.stdout.strip()
