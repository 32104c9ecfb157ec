"""Reading artifacts back: the right bytes, or a refusal that says what became of them."""

import asyncio
import os
from pathlib import Path

import pytest
from tests.daemon.outputs.samples import FOLDER, a_member, a_run, a_tree

from stoker_daemon.jobs.records import Output
from stoker_protocol.errors import ErrorCode, Refused

PATH = f"{FOLDER}/files/00000_0.bin"


def _read(data_dir: Path, path: str, offset: int = 0, length: int = 100) -> bytes:
    async def run() -> bytes:
        async with a_tree(data_dir) as tree:
            return await tree.read(path, offset, length)

    return asyncio.run(run())


def _save(data_dir: Path, data: bytes) -> None:
    async def run() -> None:
        async with a_tree(data_dir) as tree:
            member = a_member()
            await tree.save(a_run(member), member, 0, Output(0, data, "application/octet-stream", ".bin", {}), {})

    asyncio.run(run())


@pytest.mark.parametrize(
    ("offset", "length", "data"),
    [(0, 100, b"0123456789"), (3, 4, b"3456"), (8, 100, b"89"), (10, 1, b""), (1 << 40, 1, b"")],
)
def test_a_part_of_an_artifact(tmp_path: Path, offset: int, length: int, data: bytes) -> None:
    """We expect the bytes from the offset on, fewer at the end of the file and none beyond it."""
    _save(tmp_path, b"0123456789")
    assert _read(tmp_path, PATH, offset, length) == data


def test_a_removed_artifact_is_not_found(tmp_path: Path) -> None:
    """We expect that a file that somebody removed is refused as not found, with what to do."""
    _save(tmp_path, b"x")
    (tmp_path / PATH).unlink()
    with pytest.raises(Refused, match=f"{PATH} is gone") as refused:
        _read(tmp_path, PATH)
    assert refused.value.code is ErrorCode.NOT_FOUND
    assert "submit its item again" in refused.value.hint


@pytest.mark.parametrize(
    "path",
    [
        "",
        ".",
        "/etc/passwd",
        "stoker.db",
        "../outside",
        "outputs/../stoker.db",
        "outputs/../../outside",
        f"{FOLDER}/files/../../../../stoker.db",
        "outputs/a\0b",
        "outputs",
        FOLDER,
        f"{PATH}/x",
        "outputs/" + "x" * 300,
        "outputs/" + "x/" * 3000 + "x",
    ],
)
def test_no_path_leads_out_of_the_tree(tmp_path: Path, path: str) -> None:
    """We expect that a path to anything but a file in the tree is not found, even if something is there."""
    data_dir = tmp_path / "data"
    data_dir.mkdir()
    (data_dir / "stoker.db").write_bytes(b"secret")
    (tmp_path / "outside").write_bytes(b"secret")
    _save(data_dir, b"x")
    with pytest.raises(Refused) as refused:
        _read(data_dir, path)
    assert refused.value.code is ErrorCode.NOT_FOUND
    assert refused.value.hint


@pytest.mark.parametrize("link", [PATH, f"{FOLDER}/files", FOLDER, "outputs/2025-12-31"])
def test_no_link_leads_out_of_the_tree(tmp_path: Path, link: str) -> None:
    """We expect that a file behind a symbolic link, at whatever level, is not found."""
    _save(tmp_path, b"x")
    moved = tmp_path / "moved"
    (tmp_path / link).rename(moved)
    (tmp_path / link).symlink_to(moved)
    assert (tmp_path / PATH).read_bytes() == b"x"
    with pytest.raises(Refused) as refused:
        _read(tmp_path, PATH)
    assert refused.value.code is ErrorCode.NOT_FOUND


def test_the_tree_itself_may_lie_on_another_disk(tmp_path: Path) -> None:
    """We expect that `outputs` as a whole may be a link that the operator made."""
    (tmp_path / "big").mkdir()
    (tmp_path / "outputs").symlink_to(tmp_path / "big")
    _save(tmp_path, b"x")
    assert _read(tmp_path, PATH) == b"x"
    assert (tmp_path / PATH.replace("outputs/", "big/")).is_file()


def test_a_pipe_in_place_of_a_file_holds_up_nobody(tmp_path: Path) -> None:
    """We expect that what is no plain file is not found, at once."""
    _save(tmp_path, b"x")
    (tmp_path / PATH).unlink()
    os.mkfifo(tmp_path / PATH)
    with pytest.raises(Refused) as refused:
        _read(tmp_path, PATH)
    assert refused.value.code is ErrorCode.NOT_FOUND
