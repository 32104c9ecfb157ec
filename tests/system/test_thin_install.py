"""The bare wheel: a client with few dependencies, and a `stokerd` that says what it lacks."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.system.daemons import REPOSITORY

from stoker_client import Client
from stoker_client.private_daemon import PrivateDaemon
from stoker_protocol.jobs import JobState

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


def test_the_godot_plugin_comes_along(bare: Path, tmp_path: Path) -> None:
    """We expect the wheel to have the whole plugin for the Godot editor."""
    (tmp_path / "project.godot").write_text("config_version=4\n")
    run([str(bare / "stoker"), "godot", "install", str(tmp_path)])
    there, ours = tmp_path / "addons" / "stoker", REPOSITORY / "clients" / "godot" / "addons" / "stoker"
    assert {file.name: file.read_bytes() for file in there.iterdir()} == {
        file.name: file.read_bytes() for file in ours.iterdir()
    }


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


def test_a_model_needs_no_more(bare: Path, tmp_path: Path) -> None:
    """We expect a worker to run there, in an environment that has none of what its daemon needs."""
    engine = f'[engines.sprites]\nmodel = "sprites"\noptions = {{ load_s = 0 }}\npython = "{bare / "python"}"\n'
    (tmp_path / "stokerd.toml").write_text(engine)
    daemon = PrivateDaemon(tmp_path / "data", args=["--config", str(tmp_path / "stokerd.toml")])
    with daemon, Client(daemon.control) as client:
        job = client.submit(["a red dragon"])
        assert client.wait(job.job_id, 30).state is JobState.SUCCEEDED
        (picture,) = client.fetch(job.job_id, tmp_path / "made")
        assert picture.read_bytes()[:4] == b"\x89PNG"


def test_a_worker_needs_less_still(bare: Path) -> None:
    """We expect a worker to import nothing that was installed but itself, the protocol, and msgspec."""
    program = (
        "import sys; before = set(sys.modules); import stoker_worker.__main__; "
        "print(sorted({name.split('.')[0] for name in sys.modules.keys() - before"
        " if 'site-packages' in (getattr(sys.modules[name], '__file__', None) or '')}))"
    )
    assert run([str(bare / "python"), "-c", program]).strip() == "['msgspec', 'stoker_protocol', 'stoker_worker']"
