"""Removing what no row knows: exactly that, and nothing else."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from tests.daemon.outputs.samples import FOLDER, a_member, a_png, a_run, a_tree, an_image, files_below

from stoker_daemon.jobs.records import Member, Output

OTHER = FOLDER.replace("job-1", "job-2")
TEXT = Output(0, b"x", "text/plain", ".txt", {})


def _save(data_dir: Path, members: Sequence[Member], outputs: Sequence[Output]) -> None:
    async def run() -> None:
        async with a_tree(data_dir) as tree:
            for member in members:
                for number, made in enumerate(outputs):
                    await tree.save(a_run(member), member, number, made, {})

    asyncio.run(run())


def _forget(data_dir: Path, members: Sequence[Member], known: set[str]) -> int:
    async def run() -> int:
        async with a_tree(data_dir) as tree:
            return await tree.forget_unknown(members, frozenset(known))

    return asyncio.run(run())


def test_files_of_the_items_that_no_row_knows_go(tmp_path: Path) -> None:
    """We expect that unknown outputs of the named items go with their records and half-written files."""
    members = [a_member(0), a_member(1), a_member(0, job_id="job-2")]
    _save(tmp_path, members, [an_image(a_png()), TEXT])
    job = tmp_path / FOLDER
    for stray in "images/.00000_2.png.part", "metadata/.00000_0.json.part", "files/.00000_2.txt.part":
        (job / stray).write_bytes(b"half")
    assert _forget(tmp_path, members[:1], {f"{FOLDER}/images/00000_0.png"}) == 5
    assert files_below(tmp_path) == [
        f"{FOLDER}/files/00001_1.txt",
        f"{FOLDER}/images/00000_0.png",
        f"{FOLDER}/images/00001_0.png",
        f"{FOLDER}/metadata/00000_0.json",
        f"{FOLDER}/metadata/00001_0.json",
        f"{FOLDER}/metadata/00001_1.json",
        f"{OTHER}/files/00000_1.txt",
        f"{OTHER}/images/00000_0.png",
        f"{OTHER}/metadata/00000_0.json",
        f"{OTHER}/metadata/00000_1.json",
    ]


def test_items_of_several_jobs_at_once(tmp_path: Path) -> None:
    """We expect that members of several jobs are looked for each in its own job's folder."""
    members = [a_member(0), a_member(1), a_member(1, job_id="job-2")]
    _save(tmp_path, members, [TEXT])
    assert (
        _forget(tmp_path, [members[0], members[2]], {f"{OTHER}/files/00001_0.txt", f"{OTHER}/files/00000_0.txt"}) == 2
    )
    assert files_below(tmp_path) == [
        f"{FOLDER}/files/00001_0.txt",
        f"{FOLDER}/metadata/00001_0.json",
        f"{OTHER}/files/00001_0.txt",
        f"{OTHER}/metadata/00001_0.json",
    ]


def test_a_repeated_output_of_another_kind_leaves_one(tmp_path: Path) -> None:
    """We expect that of two files for one output only the known one stays, and the record with it."""
    _save(tmp_path, [a_member(0)], [an_image(a_png())])
    _save(tmp_path, [a_member(0)], [TEXT])
    assert _forget(tmp_path, [a_member(0)], {f"{FOLDER}/files/00000_0.txt"}) == 1
    assert files_below(tmp_path) == [f"{FOLDER}/files/00000_0.txt", f"{FOLDER}/metadata/00000_0.json"]


def test_nothing_there_is_nothing_to_forget(tmp_path: Path) -> None:
    """We expect that an empty data folder, an empty job folder and no members at all are no trouble."""
    assert _forget(tmp_path, [a_member(0)], set()) == 0
    assert _forget(tmp_path, [], {"outputs/x"}) == 0
    (tmp_path / FOLDER).mkdir(parents=True)
    assert _forget(tmp_path, [a_member(0)], set()) == 0
    assert _forget(tmp_path, [a_member(0)], set()) == 0


def test_other_things_in_the_folder_stay(tmp_path: Path) -> None:
    """We expect that notes, folders and links to folders that people put into the tree are left alone."""
    images = tmp_path / FOLDER / "images"
    (images / "00000_0.png").mkdir(parents=True)
    for name in "notes.txt", "00000_favourite.png", "00000_1.edited.png", "00000_1 (copy).png":
        (images / name).write_bytes(b"x")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "00000_0.txt").write_bytes(b"x")
    (tmp_path / FOLDER / "files").symlink_to(outside)
    assert _forget(tmp_path, [a_member(0)], set()) == 0
    assert len(files_below(images)) == 4
    assert (outside / "00000_0.txt").is_file()


def test_temporaries_of_a_job_go(tmp_path: Path) -> None:
    """We expect that only files that were never completed go, in each folder of the one job."""
    _save(tmp_path, [a_member(0), a_member(0, job_id="job-2")], [an_image(a_png())])
    job = tmp_path / FOLDER
    (job / ".batch_info.json.part").write_bytes(b"{")
    (job / "batch_info.json").write_bytes(b"{}\n")
    (job / "images/.00009_0.png.part").write_bytes(b"")
    (job / "metadata/.00009_0.json.part").write_bytes(b"")
    (tmp_path / "outputs/2025-12-31/job-2/images/.00009_0.png.part").write_bytes(b"")

    async def run() -> list[int]:
        async with a_tree(tmp_path) as tree:
            return [await tree.forget_temporaries("job-1", a_member().created_ms) for _ in range(2)]

    assert asyncio.run(run()) == [3, 0]
    assert files_below(job) == ["batch_info.json", "images/00000_0.png", "metadata/00000_0.json"]
    assert len(files_below(tmp_path / "outputs/2025-12-31/job-2")) == 3
