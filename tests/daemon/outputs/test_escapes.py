"""Attempts to have a file written outside the tree."""

import asyncio
import os
from pathlib import Path

import pytest
from tests.daemon.outputs.samples import FOLDER, a_folder, a_job, a_member, a_png, a_run, a_tree, an_image, files_below

from stoker_daemon.jobs.records import SavedArtifact
from stoker_protocol.errors import ErrorCode, Refused


def _save(data_dir: Path, job_id: str = "job-1") -> SavedArtifact:
    async def run() -> SavedArtifact:
        async with a_tree(data_dir) as tree:
            member = a_member(job_id=job_id)
            return await tree.save(a_run(member), member, 0, an_image(a_png()), {})

    return asyncio.run(run())


@pytest.mark.parametrize(
    "job_id", ["", ".", "..", "../x", "/abs", "a/b", "a\\b", ".hidden", "a\n", "a\0", "é", "x" * 65, "a b"]
)
def test_a_job_id_cannot_name_another_place(tmp_path: Path, job_id: str) -> None:
    """We expect that a job id that is no safe folder name is refused, and that nothing is written."""
    data_dir = tmp_path / "data"
    data_dir.mkdir()
    with pytest.raises(Refused) as refused:
        _save(data_dir, job_id)
    assert (refused.value.code, refused.value.field) == (ErrorCode.BAD_REQUEST, "job_id")
    assert repr(job_id)[:40] in refused.value.message
    assert not list(data_dir.iterdir())


@pytest.mark.parametrize("link", ["outputs/2025-12-31", FOLDER, f"{FOLDER}/images", f"{FOLDER}/metadata"])
def test_no_link_in_the_tree_is_followed(tmp_path: Path, link: str) -> None:
    """We expect that a folder that was replaced by a link makes a save fail with its path, and stays empty."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (tmp_path / link).parent.mkdir(parents=True)
    (tmp_path / link).symlink_to(outside)
    with pytest.raises(OSError, match=rf"{tmp_path}/{FOLDER}/\w+/00000_0\.\w+"):
        _save(tmp_path)
    assert not list(outside.iterdir())
    assert not [path for path in files_below(tmp_path) if path != link]


def test_a_summary_follows_no_link(tmp_path: Path) -> None:
    """We expect that the summary of a job whose folder was replaced by a link is not written behind the link."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (tmp_path / "outputs/2025-12-31").mkdir(parents=True)
    (tmp_path / FOLDER).symlink_to(outside)

    async def run() -> None:
        async with a_tree(tmp_path) as tree:
            await tree.sum_up(a_folder(a_job(), ()))

    with pytest.raises(OSError, match=r"batch_info\.json"):
        asyncio.run(run())
    assert not list(outside.iterdir())


@pytest.mark.parametrize("name", ["00000_0.png", ".00000_0.png.part"])
@pytest.mark.parametrize("make_link", [os.symlink, os.link])
def test_a_link_in_place_of_a_file_is_replaced(tmp_path: Path, name: str, make_link: object) -> None:
    """We expect that a link planted under a file's name gives way, and that what it points to is left alone."""
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    images = tmp_path / FOLDER / "images"
    images.mkdir(parents=True)
    if make_link is os.link:
        (images / name).hardlink_to(victim)
    else:
        (images / name).symlink_to(victim)
    saved = _save(tmp_path)
    assert victim.read_bytes() == b"precious"
    assert (tmp_path / saved.path).stat().st_size == saved.bytes
    assert [path.name for path in images.iterdir()] == ["00000_0.png"]
