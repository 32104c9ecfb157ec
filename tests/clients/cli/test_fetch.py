"""`stoker fetch`: the files of a job, here and whole."""

from pathlib import Path

import pytest
from tests.clients.cli.conftest import Stoker
from tests.clients.cli.running import terminal
from tests.fakes.daemon import FakeDaemon

FILES = {f"{number:05}_0.png": bytes([number]) * 1000 * number for number in range(1, 8)}


@pytest.fixture
def job(daemon: FakeDaemon) -> str:
    """A job that made the files."""
    daemon.add_job("mine", len(FILES))
    for name, data in FILES.items():
        daemon.add_artifact("mine", name, data)
    daemon.finish("mine")
    return "mine"


def contents(directory: Path) -> dict[str, bytes]:
    """The files of a directory."""
    return {file.name: file.read_bytes() for file in directory.iterdir()}


def test_files_arrive_whole(stoker: Stoker, job: str, tmp_path: Path) -> None:
    """We expect all files byte for byte in a directory that is made, and to be told where."""
    place = tmp_path / "a" / "b"
    out = stoker("fetch", job, "-o", str(place)).out
    assert contents(place) == FILES
    assert f"7 files in {place}" in out


def test_a_directory_of_its_own(
    stoker: Stoker, daemon: FakeDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """We expect each job to have a directory here by its name and id, and nothing to be mixed."""
    monkeypatch.chdir(tmp_path)
    for job_id, name in [("one", "Night: shift/2"), ("two", "Night: shift/2"), ("three", "")]:
        daemon.add_job(job_id, name=name)
        daemon.add_artifact(job_id, "00000_0.png", job_id.encode())
        daemon.finish(job_id)
        assert str(tmp_path) in stoker("fetch", job_id).out
    assert {place.name: contents(place) for place in tmp_path.iterdir()} == {
        "Night-shift-2-one": {"00000_0.png": b"one"},
        "Night-shift-2-two": {"00000_0.png": b"two"},
        "three": {"00000_0.png": b"three"},
    }


def test_scripts_get_the_paths(stoker: Stoker, job: str, tmp_path: Path) -> None:
    """We expect `--json` to list the files by their whole paths."""
    shape = stoker("fetch", job, "-o", str(tmp_path), "--json").json
    assert shape["job_id"] == job
    assert shape["files"] == [str(tmp_path / name) for name in FILES]


def test_an_unfinished_job_says_so(stoker: Stoker, daemon: FakeDaemon, tmp_path: Path) -> None:
    """We expect the files so far, and to be told that there may be more."""
    daemon.add_job("mine")
    assert "fetch again" in stoker("fetch", "mine", "-o", str(tmp_path)).out


def test_a_place_that_cannot_be_written(stoker: Stoker, job: str, tmp_path: Path) -> None:
    """We expect exit code 2 and the place where it can't be written."""
    (tmp_path / "file").touch()
    ran = stoker("fetch", job, "-o", str(tmp_path / "file" / "below"))
    assert ran.code == 2
    assert str(tmp_path / "file" / "below") in ran.err


def test_a_false_file_is_refused(stoker: Stoker, daemon: FakeDaemon, tmp_path: Path) -> None:
    """We expect a file whose bytes are not those of its record not to be kept."""
    daemon.add_job("mine")
    daemon.add_artifact("mine", "a.png", b"data", sha256="0" * 64)
    assert stoker("fetch", "mine", "-o", str(tmp_path)).code != 0
    assert not list(tmp_path.glob("*.png"))


def test_a_terminal_shows_how_far(daemon: FakeDaemon, job: str, tmp_path: Path) -> None:
    """We expect a bar on a terminal, and the same files."""
    with terminal("fetch", job, "-o", str(tmp_path), endpoint=daemon.control) as shown:
        assert shown.end() == 0
        assert "Fetching" in shown.screen
    assert contents(tmp_path) == FILES
