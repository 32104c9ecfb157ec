"""The event loop never waits for the disk: saves, cancellations and the end, with a disk that stalls."""

import asyncio
import errno
import os
import threading
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.daemon.outputs.samples import (
    FOLDER,
    LIMIT_S,
    a_member,
    a_png,
    a_run,
    a_tree,
    an_image,
    files_below,
)

from stoker_daemon.jobs.records import Output, SavedArtifact
from stoker_daemon.outputs import disk_thread, provenance
from stoker_daemon.outputs.tree import OutputTree


class Stall:
    """A disk whose fsync waits until it is let go."""

    def __init__(self) -> None:
        self._reached = threading.Event()
        self._go_on = threading.Event()
        self._fsync = os.fsync

    def fsync(self, fd: int) -> None:
        """Stand in for os.fsync."""
        self._reached.set()
        assert self._go_on.wait(LIMIT_S)
        self._fsync(fd)

    def let_go(self) -> None:
        """The disk works again."""
        self._go_on.set()

    async def wait_reached(self) -> None:
        """Wait until a thread hangs in it."""
        assert await asyncio.to_thread(self._reached.wait, LIMIT_S)


@pytest.fixture
def stall(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stall]:
    """A disk that stalls for the length of a test, at most."""
    stall = Stall()
    monkeypatch.setattr(os, "fsync", stall.fsync)
    yield stall
    stall.let_go()


def _save(tree: OutputTree, index: int) -> asyncio.Task[SavedArtifact]:
    member = a_member(index)
    return asyncio.create_task(tree.save(a_run(member), member, 0, an_image(a_png(index)), {}))


def _run(data_dir: Path, work: Callable[[OutputTree], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        async with a_tree(data_dir) as tree:
            await work(tree)

    asyncio.run(run())


def test_the_loop_goes_on_while_the_disk_stalls(tmp_path: Path, stall: Stall) -> None:
    """We expect that with a save stuck in fsync other coroutines run, and other artifacts can be read."""
    (tmp_path / FOLDER).mkdir(parents=True)
    (tmp_path / FOLDER / "old.txt").write_bytes(b"old")

    async def work(tree: OutputTree) -> None:
        save = _save(tree, 0)
        await stall.wait_reached()
        assert await tree.read(f"{FOLDER}/old.txt", 0, 10) == b"old"
        assert not save.done()
        stall.let_go()
        assert (tmp_path / (await save).path).is_file()

    _run(tmp_path, work)


def test_a_backlog_is_bounded(tmp_path: Path, stall: Stall) -> None:
    """We expect that of 200 saves before a stalled disk only a bounded number is handed over, and that all end."""

    async def work(tree: OutputTree) -> None:
        saves = [_save(tree, 0)]
        await stall.wait_reached()
        saves += [_save(tree, index) for index in range(1, 200)]
        await asyncio.gather(*(asyncio.sleep(0) for _ in range(500)))
        assert len(tree._writer._jobs) == disk_thread.MAX_WAITING - 1
        stall.let_go()
        assert len({artifact.path for artifact in await asyncio.gather(*saves)}) == 200

    _run(tmp_path, work)


def test_a_save_that_is_cancelled_in_the_queue_never_happens(tmp_path: Path, stall: Stall) -> None:
    """We expect that a save cancelled before its turn writes nothing, and that its neighbours are saved."""

    async def work(tree: OutputTree) -> None:
        first = _save(tree, 0)
        await stall.wait_reached()
        queued = [_save(tree, index) for index in (1, 2)]
        await asyncio.sleep(0)
        queued[0].cancel()
        await asyncio.wait(queued[:1])
        stall.let_go()
        await asyncio.gather(first, queued[1])

    _run(tmp_path, work)
    assert [path.name for path in sorted((tmp_path / FOLDER / "images").iterdir())] == ["00000_0.png", "00002_0.png"]


def test_a_save_that_is_cancelled_at_work_leaves_a_whole_file(tmp_path: Path, stall: Stall) -> None:
    """We expect that a save cancelled in mid-write lets its caller go at once, and is finished by the thread."""

    async def work(tree: OutputTree) -> None:
        save = _save(tree, 0)
        await stall.wait_reached()
        save.cancel()
        with pytest.raises(asyncio.CancelledError):
            await save
        stall.let_go()

    _run(tmp_path, work)
    assert files_below(tmp_path) == [f"{FOLDER}/images/00000_0.png", f"{FOLDER}/metadata/00000_0.json"]


def test_forgetting_comes_after_the_saves_before_it(tmp_path: Path, stall: Stall) -> None:
    """We expect that work on the tree is done in the order in which it was asked for."""

    async def work(tree: OutputTree) -> None:
        saves = [_save(tree, 0), _save(tree, 1)]
        forget = asyncio.create_task(tree.forget_unknown([a_member(0), a_member(1)], frozenset()))
        await stall.wait_reached()
        again = _save(tree, 1)
        stall.let_go()
        await asyncio.gather(*saves, again)
        assert await forget == 4

    _run(tmp_path, work)
    assert files_below(tmp_path) == [f"{FOLDER}/images/00001_0.png", f"{FOLDER}/metadata/00001_0.json"]


def test_closing_finishes_what_was_taken(tmp_path: Path) -> None:
    """We expect that `close` waits for queued saves, ends both threads, is harmless twice, and refuses later work."""

    async def work(tree: OutputTree) -> None:
        saves = [_save(tree, index) for index in range(20)]
        await asyncio.sleep(0)
        await tree.close()
        assert len(await asyncio.gather(*saves)) == 20
        await tree.close()
        with pytest.raises(RuntimeError, match="closed"):
            await _save(tree, 0)

    others = set(threading.enumerate())
    _run(tmp_path, work)
    assert len(list((tmp_path / FOLDER / "images").iterdir())) == 20
    for thread in set(threading.enumerate()) - others:
        thread.join(LIMIT_S)  # its last act is to say that all was done
        assert not thread.is_alive()


def test_closing_gives_up_on_a_disk_that_hangs(tmp_path: Path, stall: Stall, monkeypatch: pytest.MonkeyPatch) -> None:
    """We expect that `close` returns after its limit although a write hangs."""
    monkeypatch.setattr(disk_thread, "CLOSE_LIMIT_S", 0.01)

    async def work(tree: OutputTree) -> None:
        save = _save(tree, 0)
        await stall.wait_reached()
        await tree.close()
        assert not save.done()
        stall.let_go()
        await save

    _run(tmp_path, work)


def test_a_bug_reaches_who_waits_and_the_thread_lives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """We expect that an unforeseen exception is raised where the save was asked for, and the next save works."""

    def broken_json_file(value: object) -> bytes:
        raise ZeroDivisionError(value)

    async def work(tree: OutputTree) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(provenance, "json_file", broken_json_file)
            with pytest.raises(ZeroDivisionError):
                await _save(tree, 0)
        assert (tmp_path / (await _save(tree, 0)).path).is_file()

    _run(tmp_path, work)


@pytest.mark.parametrize("broken", ["metadata", "images"])
def test_a_failed_folder_sync_fails_all_that_rely_on_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    """We expect that when a folder can't be synced every save in it fails with its path, and others do not."""
    fsync = os.fsync

    def failing_fsync(fd: int) -> None:
        if str(Path(f"/proc/self/fd/{fd}").readlink()).endswith(f"{FOLDER}/{broken}"):
            raise OSError(errno.EIO, "Input/output error")
        fsync(fd)

    monkeypatch.setattr(os, "fsync", failing_fsync)

    async def work(tree: OutputTree) -> None:
        text = Output(0, b"x", "text/plain", ".txt", {})
        other = a_member(2, job_id="job-2")
        saves = [_save(tree, 0), _save(tree, 1)]
        unharmed = await tree.save(a_run(other), other, 0, text, {})
        for error in await asyncio.gather(*saves, return_exceptions=True):
            assert isinstance(error, OSError)
            assert (error.errno, error.filename) == (errno.EIO, str(tmp_path / FOLDER / broken))
        assert (tmp_path / unharmed.path).read_bytes() == b"x"

    _run(tmp_path, work)
    assert not [path for path in files_below(tmp_path) if ".part" in path]
    assert broken == "images" or not list((tmp_path / FOLDER / "images").glob("*"))
