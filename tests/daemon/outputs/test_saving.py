"""What a save leaves on disk: the file, its record, the texts in it, and in which order they became durable."""

import asyncio
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.daemon.outputs.samples import (
    FOLDER,
    a_member,
    a_png,
    a_run,
    a_tree,
    an_image,
    chunk,
    files_below,
    parse_png,
    pixels_of,
    record_of,
    sha256_of,
    texts_of,
)

from stoker_daemon.jobs.records import Output, SavedArtifact


def _save(data_dir: Path, made: Output, *, output: int = 0, facts: dict[str, Any] | None = None) -> SavedArtifact:
    async def run() -> SavedArtifact:
        async with a_tree(data_dir) as tree:
            member = a_member(3)
            return await tree.save(a_run(member), member, output, made, facts or {})

    return asyncio.run(run())


def test_an_image_is_where_job_item_and_output_say(tmp_path: Path) -> None:
    """We expect that an image and its record lie where the job's date, its id, the item and the output put them."""
    saved = _save(tmp_path, an_image(a_png()), output=2)
    assert files_below(tmp_path) == [f"{FOLDER}/images/00003_2.png", f"{FOLDER}/metadata/00003_2.json"]
    data = (tmp_path / saved.path).read_bytes()
    assert saved == SavedArtifact(2, f"{FOLDER}/images/00003_2.png", "image/png", sha256_of(data), len(data))


def test_what_is_no_image_lies_among_the_files(tmp_path: Path) -> None:
    """We expect that an output of another kind is stored unchanged below `files`."""
    saved = _save(tmp_path, Output(0, b"one\n", "text/plain", ".TXT", {}))
    assert saved.path == f"{FOLDER}/files/00003_0.txt"
    assert (tmp_path / saved.path).read_bytes() == b"one\n"
    assert record_of(tmp_path, saved.path)["sha256"] == saved.sha256 == sha256_of(b"one\n")


def test_a_verbatim_image_tells_of_its_own_item_only(tmp_path: Path) -> None:
    """We expect of a file that is to stay as it is only the texts that it had replaced, and the record to match it."""
    before = a_png(texts=chunk(b"tEXt", b"prompt\0all") + chunk(b"tEXt", b"other\0as it was"))
    made = Output(0, before, "image/png", ".png", {}, verbatim=True, texts={"prompt": "mine", "stoker": "not there"})
    saved = _save(tmp_path, made)
    data = (tmp_path / saved.path).read_bytes()
    assert texts_of(data) == {"prompt": "mine", "other": "as it was"}
    assert pixels_of(data) == pixels_of(before)
    assert record_of(tmp_path, saved.path)["sha256"] == saved.sha256 == sha256_of(data)


@pytest.mark.parametrize(
    ("suffix", "name"),
    [
        ("/../../x", "00003_0.x"),
        ("", "00003_0.bin"),
        ("...", "00003_0.bin"),
        (".tar.gz", "00003_0.targz"),
        (".ABCDEFGHIJKLM", "00003_0.abcdefghij"),
        (".é\0\n\\p", "00003_0.p"),
    ],
)
def test_a_suffix_cannot_name_another_place(tmp_path: Path, suffix: str, name: str) -> None:
    """We expect that of a model's suffix only ten small letters and digits reach the file's name."""
    saved = _save(tmp_path, Output(0, b"x", "application/x-thing", suffix, {}))
    assert saved.path == f"{FOLDER}/files/{name}"
    assert files_below(tmp_path) == [saved.path, f"{FOLDER}/metadata/00003_0.json"]


def test_the_record_tells_all_that_is_known(tmp_path: Path) -> None:
    """We expect that the record has the recipe, the run, the model's and the lane's facts, and the file's checksum."""

    async def run() -> SavedArtifact:
        async with a_tree(tmp_path) as tree:
            mine = a_member(3, position=1, pose="kneeling", size=2**63 - 1)
            members = a_member(2), replace(mine, custom_id="hero-3")
            facts = {"timings": {"run_s": 1.5}, "versions": {"stoker": "0.1.0"}, "sha256": "a lie"}
            return await tree.save(a_run(*members), members[1], 0, an_image(a_png(), 1), facts)

    saved = asyncio.run(run())
    assert record_of(tmp_path, saved.path) == {
        "attempt": 1,
        "batch_size": 2,
        "bytes": saved.bytes,
        "created_at": "2026-01-01T00:00:00.123Z",
        "custom_id": "hero-3",
        "engine": "sprites",
        "index": 3,
        "job_id": "job-1",
        "media_type": "image/png",
        "model": "hero",
        "output": 0,
        "params": {"pose": "kneeling", "prompt": "a knight 3", "seed": 3, "size": 2**63 - 1, "steps": 8},
        "position": 1,
        "record": {"palette": "dusk"},
        "run_id": "run-7",
        "seed": 3,
        "sha256": saved.sha256,
        "timings": {"run_s": 1.5},
        "versions": {"stoker": "0.1.0"},
    }


def test_a_record_is_made_for_people(tmp_path: Path) -> None:
    """We expect that a record is sorted, indented, plain UTF-8 and ends its last line."""
    _save(tmp_path, an_image(a_png()), facts={"note": "für Łukasz"})
    text = (tmp_path / FOLDER / "metadata" / "00003_0.json").read_text("utf-8")
    record = json.loads(text)
    assert text == json.dumps(record, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    assert '  "note": "für Łukasz",\n' in text


def test_a_record_takes_any_value(tmp_path: Path) -> None:
    """We expect that bytes, odd keys and numbers that JSON lacks are put into words, not refused."""
    odd = {"raw": b"\xff", "by_number": {1: {None: 2, True: 3}}, "endless": float("inf"), "kind": {"x": object}}
    _save(tmp_path, Output(0, b"x", "text/plain", ".txt", odd))
    record = record_of(tmp_path, f"{FOLDER}/files/00003_0.txt")["record"]
    assert record == {
        "raw": "/w==",
        "by_number": {"1": {"None": 2, "True": 3}},
        "endless": None,
        "kind": {"x": "<class 'object'>"},
    }


def test_a_png_tells_how_it_was_made(tmp_path: Path) -> None:
    """We expect that each image carries its own item's settings in words, and a recipe to run it again."""
    made = a_png(7, width=5, height=4)
    saved = _save(tmp_path, an_image(made))
    data = (tmp_path / saved.path).read_bytes()
    assert [kind for kind, _ in parse_png(data)] == [b"IHDR", b"tEXt", b"tEXt", b"IDAT", b"IEND"]
    assert pixels_of(data) == pixels_of(made)
    texts = texts_of(data)
    assert texts["parameters"] == "a knight 3\nSteps: 8, Seed: 3, Size: 5x4, Model: hero"
    assert json.loads(texts["stoker"]) == {
        "job_id": "job-1",
        "index": 3,
        "engine": "sprites",
        "model": "hero",
        "params": {"prompt": "a knight 3", "seed": 3, "steps": 8},
    }


def test_a_damaged_png_is_kept_as_it_came(tmp_path: Path) -> None:
    """We expect that bytes that are no PNG are stored unchanged, and that their record says so."""
    made = a_png()[:-5]
    saved = _save(tmp_path, an_image(made))
    assert (tmp_path / saved.path).read_bytes() == made
    record = record_of(tmp_path, saved.path)
    assert record["malformed"].startswith("stored without text chunks: cut off within the chunk at byte ")
    assert record["sha256"] == sha256_of(made)


def test_a_second_save_takes_the_place_of_the_first(tmp_path: Path) -> None:
    """We expect that saving an output again leaves exactly the bytes that a first save of it would have left."""
    fresh, again = tmp_path / "fresh", tmp_path / "again"
    fresh.mkdir()
    again.mkdir()
    _save(fresh, an_image(a_png(2)))
    _save(again, an_image(a_png(1, width=40)))
    _save(again, an_image(a_png(2)))
    assert files_below(again) == files_below(fresh)
    for path in files_below(fresh):
        assert (again / path).read_bytes() == (fresh / path).read_bytes()


def test_two_hundred_saves_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """We expect that 200 saves at once all end well, and share the syncs of their folders."""
    steps = _trace(monkeypatch)

    async def run() -> list[SavedArtifact]:
        async with a_tree(tmp_path) as tree:
            members = [a_member(index, position=index) for index in range(200)]
            run = a_run(*members)
            saves = [tree.save(run, m, 0, an_image(a_png(m.index), m.index), {}) for m in members]
            return await asyncio.gather(*saves)

    saved = asyncio.run(run())
    assert [artifact.path for artifact in saved] == [f"{FOLDER}/images/{index:05}_0.png" for index in range(200)]
    for artifact in saved:
        assert sha256_of((tmp_path / artifact.path).read_bytes()) == artifact.sha256
        assert record_of(tmp_path, artifact.path)["sha256"] == artifact.sha256
    assert len(files_below(tmp_path)) == 400
    assert steps.count(f"sync {tmp_path}/{FOLDER}/images") <= 20


def test_nothing_is_named_before_it_is_durable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """We expect that bytes are synced before a name is given, the name before the save returns, and records first."""
    _save(tmp_path, an_image(a_png(1)))
    steps = _trace(monkeypatch)
    _save(tmp_path, an_image(a_png(2)))
    job = tmp_path / FOLDER
    folders = [tmp_path, tmp_path / "outputs", job.parent, job]
    assert steps == [
        *(f"sync {folder}" for folder in folders),
        f"sync {job}/metadata/.00003_0.json.part",
        f"sync {job}",
        f"sync {job}/images/.00003_0.png.part",
        f"rename {job}/metadata/00003_0.json",
        f"sync {job}/metadata",
        f"rename {job}/images/00003_0.png",
        f"sync {job}/images",
    ]


def test_folders_are_made_durable_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """We expect that the parents of a job's files are synced with its first file only, and again when made again."""

    async def run() -> tuple[int, int, int]:
        async with a_tree(tmp_path) as tree:
            member = a_member(3)
            steps = _trace(monkeypatch)
            counts: list[int] = []
            for _ in range(3):
                await tree.save(a_run(member), member, 0, an_image(a_png()), {})
                counts.append(steps.count(f"sync {tmp_path}/outputs/2025-12-31"))
                if len(counts) == 2:
                    _remove_tree(tmp_path / "outputs")
            return counts[0], counts[1], counts[2]

    assert asyncio.run(run()) == (1, 1, 2)


def _trace(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every fsync and rename from here on, by the path that it is about."""
    steps: list[str] = []
    fsync, rename = os.fsync, os.rename

    def traced_fsync(fd: int) -> None:
        steps.append(f"sync {Path(f'/proc/self/fd/{fd}').readlink()}")
        fsync(fd)

    def traced_rename(source: str, target: str, *, src_dir_fd: int, dst_dir_fd: int) -> None:
        steps.append(f"rename {Path(f'/proc/self/fd/{dst_dir_fd}').readlink()}/{target}")
        rename(source, target, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)

    monkeypatch.setattr(os, "fsync", traced_fsync)
    monkeypatch.setattr(os, "rename", traced_rename)
    return steps


def _remove_tree(folder: Path) -> None:
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    folder.rmdir()
