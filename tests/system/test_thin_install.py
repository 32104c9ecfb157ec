"""The bare wheel: a client with few dependencies, and a `stokerd` that says what it lacks."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.system.daemons import REPOSITORY

DAEMON_ONLY = ("structlog", "pillow", "psutil", "httpx")


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of commands of an environment with nothing but the wheel and what it asks for."""
    folder = tmp_path_factory.mktemp("bare")
    run([sys.executable, "-m", "venv", str(folder)])
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
    run([*pip, str(REPOSITORY)])
    return folder / "bin"


def run(command: Sequence[str], code: int = 0) -> str:
    """What a command says, once it ended as expected."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_the_daemon_stays_out(bare: Path) -> None:
    """We expect none of the daemon's own dependencies to come with the client."""
    installed = run([str(bare / "python"), "-m", "pip", "list", "--disable-pip-version-check"]).lower()
    assert "pyzmq" in installed
    assert not [name for name in DAEMON_ONLY if name in installed]


def test_the_client_works(bare: Path) -> None:
    """We expect help without a daemon, and a clear answer about one that is not there."""
    assert "Keep one GPU fed" in run([str(bare / "stoker"), "--help"])
    gone = ["--endpoint", "tcp://127.0.0.1:9", "--timeout", "1"]
    assert "stokerd" in run([str(bare / "stoker"), "ping", *gone], code=5)
    run([str(bare / "python"), "-c", "from stoker_client import AsyncClient, Client; Client().close()"])


def test_the_daemon_says_what_it_lacks(bare: Path) -> None:
    """We expect the command that starts a daemon, and the demo that would, to name what to install."""
    for command in ("stokerd", "stoker demo"):
        program, *arguments = command.split()
        assert "stoker[daemon]" in run([str(bare / program), *arguments], code=5)
