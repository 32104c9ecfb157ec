"""A disk that is full: the save fails by name, leaves nothing behind, and works again once there is room."""

import asyncio
import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.daemon.outputs.samples import FOLDER, a_member, a_run, a_tree, files_below

from stoker_daemon.jobs.records import Output, SavedArtifact

PAGE = 4096


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 128 KiB."""
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", tmp_path], capture_output=True, text=True, timeout=60
    )
    if mounted.returncode != 0:
        reason = f"no small file system to fill: {mounted.stderr.strip()}"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    yield tmp_path
    subprocess.run(["umount", tmp_path], check=True, timeout=60)


def _an_output(size: int) -> Output:
    return Output(0, b"x" * size, "application/octet-stream", ".bin", {})


def test_a_full_disk_leaves_nothing_half_written(small_disk: Path) -> None:
    """We expect that what does not fit fails with its path, what was there stays, and what fits is saved after it."""

    async def run() -> None:
        async with a_tree(small_disk) as tree:

            async def save(index: int, size: int) -> SavedArtifact:
                member = a_member(index)
                return await tree.save(a_run(member), member, 0, _an_output(size), {})

            first = await save(0, 4 * PAGE)
            outcomes = await asyncio.gather(save(1, 64 * PAGE), save(2, PAGE), return_exceptions=True)
            assert isinstance(outcomes[0], OSError)
            path = str(small_disk / FOLDER / "files" / "00001_0.bin")
            assert (outcomes[0].errno, outcomes[0].filename) == (errno.ENOSPC, path)
            assert isinstance(outcomes[1], SavedArtifact)
            assert (small_disk / first.path).stat().st_size == 4 * PAGE

    asyncio.run(run())
    assert files_below(small_disk) == [
        f"{FOLDER}/files/00000_0.bin",
        f"{FOLDER}/files/00002_0.bin",
        f"{FOLDER}/metadata/00000_0.json",
        f"{FOLDER}/metadata/00002_0.json",
    ]


def test_a_save_works_again_once_there_is_room(small_disk: Path) -> None:
    """We expect that a disk that filled to the last byte takes outputs again when something was removed."""
    filler = small_disk / "filler"
    _fill(filler)

    async def run() -> SavedArtifact:
        async with a_tree(small_disk) as tree:
            member = a_member()
            with pytest.raises(OSError, match=r"00000_0\.json") as refused:
                await tree.save(a_run(member), member, 0, _an_output(PAGE), {})
            assert refused.value.errno == errno.ENOSPC
            assert files_below(small_disk) == ["filler"]
            filler.unlink()
            return await tree.save(a_run(member), member, 0, _an_output(PAGE), {})

    assert (small_disk / asyncio.run(run()).path).stat().st_size == PAGE


def _fill(file: Path) -> None:
    room = os.statvfs(file.parent)
    file.write_bytes(bytes(room.f_bavail * room.f_frsize))
