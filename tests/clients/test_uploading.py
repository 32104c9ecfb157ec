"""Input files reach the daemon whole, once, and after a break from where they stopped."""

import hashlib
import tracemalloc
from pathlib import Path

import pytest
from tests.clients.both import Connect, both
from tests.fakes.daemon import FakeDaemon

from stoker_client import Client
from stoker_client.errors import BadReply, BadRequest, DaemonUnavailable, TooLarge
from stoker_client.operations.uploading import CHUNK
from stoker_client.private_daemon import PrivateDaemon
from stoker_protocol.requests import PutBlob

LARGE = bytes(range(256)) * (CHUNK // 128) + b"the end"
"""A file that takes three requests."""
SHA256 = hashlib.sha256(LARGE).hexdigest()


def puts(daemon: FakeDaemon) -> list[tuple[int, int]]:
    """Offset and length of what was sent, in order."""
    return [(one.offset, len(one.data)) for one in daemon.requests if isinstance(one, PutBlob)]


@both
@pytest.mark.parametrize("as_bytes", [True, False])
def test_a_file_comes_whole(daemon: FakeDaemon, connect: Connect, tmp_path: Path, *, as_bytes: bool) -> None:
    """We expect that what is there is asked first, then bytes come in pieces, and how far it is is told."""
    file = tmp_path / "a.png"
    file.write_bytes(LARGE)
    told: list[tuple[int, int]] = []
    with connect(daemon.control) as client:
        value = client.upload(LARGE if as_bytes else file, told=lambda there, total: told.append((there, total)))
    assert value == f"blob:{SHA256}"
    assert daemon.world.blobs == {SHA256: LARGE}
    assert puts(daemon) == [(0, 0), (0, CHUNK), (CHUNK, CHUNK), (2 * CHUNK, 7)]
    assert told == [(CHUNK, len(LARGE)), (2 * CHUNK, len(LARGE)), (len(LARGE), len(LARGE))]


@both
def test_what_is_there_is_not_sent(daemon: FakeDaemon, connect: Connect) -> None:
    """We expect that a file that the daemon has costs one question, and half of one only the other half."""
    daemon.world.blobs[SHA256] = LARGE[:CHUNK]
    with connect(daemon.control) as client:
        first, second = client.upload(LARGE), client.upload(LARGE)
    assert first == second
    assert puts(daemon) == [(0, 0), (CHUNK, CHUNK), (2 * CHUNK, 7), (0, 0)]


@both
def test_after_a_break(daemon: FakeDaemon, connect: Connect) -> None:
    """We expect that a lost answer does no harm, and that after an absence a repetition sends only what is missing."""
    daemon.before("put_blob", None, None, lambda: daemon.lose_replies("put_blob", times=3))
    with connect(daemon.control, timeout_s=0.5) as client:
        with pytest.raises(DaemonUnavailable):
            client.upload(LARGE)
        client.upload(LARGE)
    assert daemon.world.blobs == {SHA256: LARGE}
    assert puts(daemon) == [(0, 0), (0, CHUNK), *[(CHUNK, CHUNK)] * 3, (0, 0), (2 * CHUNK, 7)]


@both
def test_files_that_can_not_be_sent(daemon: FakeDaemon, connect: Connect, tmp_path: Path) -> None:
    """We expect an empty file and one that is too large to be refused, a missing one to raise, and nothing sent."""
    huge = tmp_path / "huge"
    huge.touch()
    with connect(daemon.control) as client:
        with pytest.raises(BadRequest, match="empty"):
            client.upload(huge)
        with pytest.raises(FileNotFoundError):
            client.upload(tmp_path / "gone.png")
    assert puts(daemon) == []


def test_a_file_that_is_too_large(daemon: FakeDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """We expect a file beyond the daemon's limit to be refused by its size, unsent."""
    monkeypatch.setattr("stoker_protocol.requests.MAX_BLOB", 1000)
    (tmp_path / "huge").write_bytes(bytes(1001))
    with Client(daemon.control) as client, pytest.raises(TooLarge, match="1001 bytes"):
        client.upload(tmp_path / "huge")
    assert puts(daemon) == []


@both
def test_a_file_that_shrinks(daemon: FakeDaemon, connect: Connect, tmp_path: Path) -> None:
    """We expect a file that ends too early while it is sent to be named as changed."""
    file = tmp_path / "a.png"
    file.write_bytes(LARGE)
    daemon.before("put_blob", None, lambda: file.write_bytes(LARGE[:9]))
    with connect(daemon.control) as client, pytest.raises(BadRequest, match="ends after"):
        client.upload(file)


@both
def test_a_daemon_that_keeps_nothing(daemon: FakeDaemon, connect: Connect) -> None:
    """We expect an end, not a loop, where bytes are taken again and again and are never there."""
    never = {"re": "blob_stored", "sha256": SHA256, "received": 0, "complete": False}
    daemon.answer_instead("put_blob", never, times=100)
    with connect(daemon.control) as client, pytest.raises(BadReply, match="0 of"):
        client.upload(LARGE)


def test_a_large_file_is_not_held(daemon: FakeDaemon, tmp_path: Path) -> None:
    """We expect that a file of 64 MiB takes a few MiB of memory to be hashed."""
    file = tmp_path / "large"
    with file.open("wb") as opened:
        opened.truncate(64 << 20)
    whole = {"re": "blob_stored", "sha256": "", "received": 64 << 20, "complete": True}
    daemon.answer_instead("put_blob", whole)
    with Client(daemon.control) as client:
        tracemalloc.start()
        client.upload(file)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 8 << 20


def test_a_real_daemon_takes_it(stokerd: PrivateDaemon) -> None:
    """We expect the daemon to have each byte on its disk, under the name that is told."""
    with Client(stokerd.control) as client:
        value = client.upload(LARGE)
        assert client.upload(LARGE) == value
    (stored,) = [path for path in (stokerd.data_dir / "blobs").rglob("*") if path.name == value.removeprefix("blob:")]
    assert stored.read_bytes() == LARGE
