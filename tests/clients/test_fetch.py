"""Files arrive whole and true or not at all, and never outside the folder that was named."""

import asyncio
import hashlib
import threading
from pathlib import Path

import pytest
from tests.clients.both import Connect, both
from tests.fakes.daemon import PATIENCE_S, FakeDaemon

from stoker_client.async_client import AsyncClient
from stoker_client.errors import BadReply, DaemonUnavailable, NotFound
from stoker_client.private_daemon import PrivateDaemon
from stoker_client.shell import Folder
from stoker_protocol.requests import MAX_READ

LARGE = bytes(range(256)) * 8192 + b"the end"
"""A file that takes several questions."""


@both
def test_all_files(daemon: FakeDaemon, connect: Connect, tmp_path: Path) -> None:
    """We expect that all files of a job arrive byte for byte and in order, large, small and empty ones."""
    files = {"0.png": LARGE, "1.png": b"small", "2.png": b"", "3.png": b"on the second page"}
    daemon.add_job("a")
    for name, data in files.items():
        daemon.add_artifact("a", name, data)
    with connect(daemon.control) as client:
        paths = list(client.fetch("a", tmp_path / "new" / "folder"))
    assert paths == [tmp_path / "new" / "folder" / name for name in files]
    assert {path.name: path.read_bytes() for path in paths} == files
    assert _names(tmp_path / "new" / "folder") == sorted(files)
    assert len(daemon.asked("read_artifact")) == -(-len(LARGE) // MAX_READ) + 2


@both
def test_what_is_there_is_left(daemon: FakeDaemon, connect: Connect, tmp_path: Path) -> None:
    """We expect that files which are there already are not asked for again, and that changed ones are replaced."""
    daemon.add_job("a")
    daemon.add_artifact("a", "0.png", b"same")
    daemon.add_artifact("a", "1.png", b"original")
    (tmp_path / "0.png").write_bytes(b"same")
    (tmp_path / "1.png").write_bytes(b"touched up")
    before = (tmp_path / "0.png").stat()
    with connect(daemon.control) as client:
        assert [path.name for path in client.fetch("a", tmp_path)] == ["0.png", "1.png"]
    assert (tmp_path / "0.png").stat().st_ino == before.st_ino
    assert (tmp_path / "1.png").read_bytes() == b"original"
    assert len(daemon.asked("read_artifact")) == 1


@both
@pytest.mark.parametrize(
    ("lie", "words"),
    [
        ({"sha256": hashlib.sha256(b"other").hexdigest()}, "other bytes"),
        ({"bytes": 99}, "ends after 5 of 99 bytes"),
    ],
)
def test_files_that_are_not_what_was_made(
    daemon: FakeDaemon, connect: Connect, tmp_path: Path, lie: dict[str, object], words: str
) -> None:
    """We expect that bytes which don't match their record are a BadReply, and that nothing of them stays."""
    daemon.add_job("a")
    daemon.add_artifact("a", "0.png", b"fine!")
    daemon.add_artifact("a", "1.png", b"bytes", **lie)
    with connect(daemon.control) as client, pytest.raises(BadReply, match=words):
        list(client.fetch("a", tmp_path))
    assert _names(tmp_path) == ["0.png"]


@both
@pytest.mark.parametrize(
    "name", ["..", ".", "", "..\\up.png", "C:up.png", "a:stream", ".hidden", "nul\0.png", "\x1b[2J.png", "a\n.png"]
)
def test_names_that_lead_elsewhere(daemon: FakeDaemon, connect: Connect, tmp_path: Path, name: str) -> None:
    """We expect that a file whose name might lead out of the folder, on any system, is refused."""
    folder = tmp_path / "folder"
    daemon.add_job("a")
    daemon.add_artifact("a", name, b"evil")
    with connect(daemon.control) as client, pytest.raises(BadReply, match="can't be the name of a file"):
        list(client.fetch("a", folder))
    assert not folder.exists()
    assert _names(tmp_path) == []


@both
def test_leaving_early(daemon: FakeDaemon, connect: Connect, tmp_path: Path) -> None:
    """We expect that a fetch which is left after a file has asked for no other, and leaves no half of one."""
    daemon.add_job("a")
    for name in ("0.png", "1.png"):
        daemon.add_artifact("a", name, b"bytes")
    with connect(daemon.control) as client:
        for path in client.fetch("a", tmp_path):
            assert path.name == "0.png"
            break
    assert _names(tmp_path) == ["0.png"]
    assert len(daemon.asked("read_artifact")) == 1


@both
def test_a_daemon_that_goes_away(daemon: FakeDaemon, connect: Connect, tmp_path: Path) -> None:
    """We expect that a fetch which is cut short leaves no half of a file, and can be made good later."""
    daemon.add_job("a")
    daemon.add_artifact("a", "0.png", LARGE)
    daemon.lose_replies("read_artifact", 4)
    with connect(daemon.control, timeout_s=0.3) as client:
        with pytest.raises(DaemonUnavailable):
            list(client.fetch("a", tmp_path))
        assert _names(tmp_path) == []
    with connect(daemon.control, timeout_s=1.0) as client:
        assert [path.read_bytes() for path in client.fetch("a", tmp_path)] == [LARGE]
    assert _names(tmp_path) == ["0.png"]


@both
def test_a_folder_that_is_a_file(daemon: FakeDaemon, connect: Connect, tmp_path: Path) -> None:
    """We expect that a folder which can't be made is an OSError that names it."""
    daemon.add_job("a")
    daemon.add_artifact("a", "0.png", b"bytes")
    (tmp_path / "file").write_text("in the way")
    with connect(daemon.control) as client, pytest.raises(OSError, match="file"):
        list(client.fetch("a", tmp_path / "file"))


def test_two_at_once_into_one_folder(tmp_path: Path) -> None:
    """We expect that two who fetch the same file at once don't write into each other's."""
    first, second = Folder(tmp_path), Folder(tmp_path)
    sha256 = hashlib.sha256(LARGE).hexdigest()
    assert first.begin("0.png", sha256)
    first.append(LARGE)
    assert second.begin("0.png", sha256)
    assert first.finish() == tmp_path / "0.png"
    assert (tmp_path / "0.png").read_bytes() == LARGE
    second.close()
    assert _names(tmp_path) == ["0.png"]


def test_cancelled_in_the_middle_of_a_file(daemon: FakeDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """We expect that a fetch cancelled while its thread writes waits for that, and leaves no half of a file."""
    is_writing, may_write = threading.Event(), threading.Event()
    append = Folder.append

    def slow_append(folder: Folder, data: bytes) -> None:
        is_writing.set()
        assert may_write.wait(PATIENCE_S)
        append(folder, data)

    async def fetch() -> None:
        async with AsyncClient(daemon.control) as client:
            work = asyncio.ensure_future(anext(client.fetch("a", tmp_path)))
            await asyncio.to_thread(is_writing.wait, PATIENCE_S)
            work.cancel()
            asyncio.get_running_loop().call_later(0.05, may_write.set)
            with pytest.raises(asyncio.CancelledError):
                await work
            assert may_write.is_set()

    monkeypatch.setattr(Folder, "append", slow_append)
    daemon.add_job("a")
    daemon.add_artifact("a", "0.png", b"bytes")
    asyncio.run(fetch())
    assert _names(tmp_path) == []


@both
def test_of_a_real_daemon(stokerd: PrivateDaemon, connect: Connect, tmp_path: Path) -> None:
    """We expect that the files fetched are those in the daemon's own tree, byte for byte, and PNGs."""
    with connect(stokerd.control) as client:
        job_id = client.submit(["a red dragon", "a slime"]).job_id
        client.wait(job_id, PATIENCE_S)
        made = [stokerd.data_dir / artifact.path for artifact in client.artifacts(job_id)]
        fetched = list(client.fetch(job_id, tmp_path))
        with pytest.raises(NotFound):
            list(client.fetch("no-such-job", tmp_path))
    assert [path.read_bytes() for path in fetched] == [path.read_bytes() for path in made]
    assert [path.read_bytes()[:8] for path in fetched] == [b"\x89PNG\r\n\x1a\n"] * 2
    assert _names(tmp_path) == ["00000_0.png", "00001_0.png"]


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())
