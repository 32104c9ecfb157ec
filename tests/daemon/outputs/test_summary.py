"""The summary file of a final job."""

import asyncio
import json
from dataclasses import replace
from operator import attrgetter
from pathlib import Path

from msgspec import UNSET
from tests.daemon.outputs.samples import CREATED_MS, FOLDER, a_folder, a_job, a_tree

from stoker_daemon.jobs.records import Files, JobFolder
from stoker_protocol import codec
from stoker_protocol.jobs import Artifact, Failure, Item, ItemCounts, ItemState, JobState


def _sum_up(data_dir: Path, *folders: JobFolder) -> bytes:
    async def run() -> None:
        async with a_tree(data_dir) as tree:
            for folder in folders:
                await tree.sum_up(folder)

    asyncio.run(run())
    return (data_dir / FOLDER / "batch_info.json").read_bytes()


def _an_artifact(index: int, output: int, size: int) -> Artifact:
    path = f"{FOLDER}/images/{index:05}_{output}.png"
    return Artifact(9 - index, index, output, path, "image/png", f"{index}{output}" * 32, size)


def _a_final_job(*artifacts: Artifact) -> JobFolder:
    job = a_job(
        state=JobState.FAILED,
        items=ItemCounts(total=3, succeeded=2, failed=1),
        started_at_ms=CREATED_MS + 1,
        finished_at_ms=CREATED_MS + 1001,
        error=Failure("oom", "no room"),
        metadata=codec.pack({"project": "Łódź", "tags": [1, {2: None}]}),
    )
    failed = Item(
        1, ItemState.FAILED, 3, custom_id="mine", error=Failure("oom", "no room"), params=codec.pack({"seed": 7})
    )
    folder = a_folder(job, artifacts, params=codec.pack({"prompt": "a knight"}))
    return replace(folder, items=tuple(sorted((*folder.items, failed), key=attrgetter("index"))))


def test_a_summary_tells_how_a_job_ended(tmp_path: Path) -> None:
    """We expect the job's facts and every file by item, with counts, bytes, checksums and readable times."""
    data = _sum_up(tmp_path, _a_final_job(_an_artifact(0, 0, 10), _an_artifact(2, 0, 5), _an_artifact(2, 1, 7)))

    def file(index: int, output: int, size: int) -> dict[str, object]:
        path = f"{FOLDER}/images/{index:05}_{output}.png"
        sha256 = f"{index}{output}" * 32
        return {"output": output, "path": path, "media_type": "image/png", "sha256": sha256, "bytes": size}

    assert json.loads(data) == {
        "job_id": "job-1",
        "name": "knights",
        "state": "failed",
        "priority": "normal",
        "engine": "sprites",
        "model": "hero",
        "client": "local",
        "params": {"prompt": "a knight"},
        "metadata": {"project": "Łódź", "tags": [1, {"2": None}]},
        "items": {
            "total": 3,
            "pending": 0,
            "running": 0,
            "succeeded": 2,
            "failed": 1,
            "rejected": 0,
            "cancelled": 0,
            "skipped": 0,
        },
        "error": {"kind": "oom", "message": "no room"},
        "created_at": "2025-12-31T23:59:59.999Z",
        "started_at": "2026-01-01T00:00:00.000Z",
        "finished_at": "2026-01-01T00:00:01.000Z",
        "artifacts": {
            "count": 3,
            "bytes": 22,
            "items": [
                {"index": 0, "state": "succeeded", "attempts": 1, "files": [file(0, 0, 10)]},
                {
                    "index": 1,
                    "state": "failed",
                    "attempts": 3,
                    "files": [],
                    "custom_id": "mine",
                    "params": {"seed": 7},
                    "error": {"kind": "oom", "message": "no room"},
                },
                {"index": 2, "state": "succeeded", "attempts": 1, "files": [file(2, 0, 5), file(2, 1, 7)]},
            ],
        },
    }
    assert data.endswith(b"}\n")


def test_a_very_large_job_is_cut(tmp_path: Path) -> None:
    """We expect a summary that does not list every item to say how many it leaves out, and to count all files."""
    job = a_job(state=JobState.SUCCEEDED, items=ItemCounts(total=5_000, succeeded=5_000))
    data = _sum_up(tmp_path, a_folder(job, [_an_artifact(0, 0, 10)], files=Files(5_000, 50_000)))
    files = json.loads(data)["artifacts"]
    assert (files["count"], files["bytes"], len(files["items"]), files["items_not_listed"]) == (5_000, 50_000, 1, 4_999)


def test_a_later_summary_takes_the_place_of_the_first(tmp_path: Path) -> None:
    """We expect that summing up a job again, shorter than before, leaves the new summary alone."""
    empty = a_folder(a_job(metadata=UNSET, items=ItemCounts()), (), params=UNSET)
    data = _sum_up(tmp_path, _a_final_job(_an_artifact(0, 0, 10)), empty)
    summary = json.loads(data)
    assert summary["artifacts"] == {"count": 0, "bytes": 0, "items": []}
    assert (summary["metadata"], summary["error"], summary["finished_at"]) == ({}, None, None)
