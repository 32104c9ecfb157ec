"""What a job made lies where its id, item and output say, with its provenance, byte for byte as it was told."""

import hashlib
import json
import struct
import zlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.system.daemons import SPRITES, Rig, a_rig, config
from tests.worker.processes import wait_for

from stoker_client.errors import NotFound
from stoker_protocol.jobs import Artifact, Job, JobState
from stoker_protocol.replies import ArtifactBytes, ErrorReply
from stoker_protocol.requests import ReadArtifact


def _chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    """The chunks of a PNG file, each with its CRC checked."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    found: list[tuple[bytes, bytes]] = []
    at = 8
    while at < len(data):
        (size,), kind = struct.unpack_from(">I", data, at), data[at + 4 : at + 8]
        body = data[at + 8 : at + 8 + size]
        assert struct.unpack_from(">I", data, at + 8 + size)[0] == zlib.crc32(kind + body)
        found.append((kind, body))
        at += 12 + size
    return found


def _texts(data: bytes) -> dict[str, str]:
    """The texts in a PNG file by keyword."""
    texts: dict[str, str] = {}
    for kind, body in _chunks(data):
        keyword, _, rest = body.partition(b"\0")
        if kind == b"tEXt":
            texts[keyword.decode("latin-1")] = rest.decode("latin-1")
        if kind == b"iTXt":
            texts[keyword.decode("latin-1")] = rest[2:].split(b"\0", 2)[2].decode()
    return texts


def _folder(rig: Rig, job: Job) -> Path:
    day = datetime.fromtimestamp(job.created_at_ms / 1000, UTC)
    return rig.data_dir / "outputs" / f"{day:%Y-%m-%d}" / job.job_id


def test_images_with_their_records(tmp_path: Path) -> None:
    """We expect images, records and the summary in the job's folder, and in each image what it was made from."""
    with a_rig(tmp_path, config(engines=SPRITES)) as rig:
        items: list[Any] = [
            {"params": {"prompt": "a knight", "seed": 7}, "custom_id": "k"},
            {"params": {"prompt": "a dragon", "seed": 8}},
            {"params": {"prompt": "einen Bären 🐻", "seed": 2**63 - 1}},
        ]
        job_id = rig.client.submit(items, params={"steps": 4}, name="menagerie", metadata={"for": "tests"}).job_id
        job = rig.wait(job_id)
        folder = _folder(rig, job)
        wait_for((folder / "batch_info.json").is_file)
        assert {path.name for path in (folder / "images").iterdir()} == {f"0000{n}_0.png" for n in range(3)}
        assert {path.name for path in (folder / "metadata").iterdir()} == {f"0000{n}_0.json" for n in range(3)}
        for item, given in zip(rig.items(job_id), items, strict=True):
            (artifact,) = item.artifacts
            _check_image(rig, job, artifact, given["params"])
        summary = json.loads((folder / "batch_info.json").read_text())
        assert (summary["job_id"], summary["name"], summary["state"]) == (job_id, "menagerie", "succeeded")
        assert summary["metadata"] == {"for": "tests"}
        assert summary["artifacts"]["count"] == 3


def _check_image(rig: Rig, job: Job, artifact: Artifact, params: dict[str, Any]) -> None:
    data = (rig.data_dir / artifact.path).read_bytes()
    assert (artifact.media_type, artifact.bytes) == ("image/png", len(data))
    assert artifact.sha256 == hashlib.sha256(data).hexdigest()
    record = json.loads((_folder(rig, job) / "metadata" / f"{artifact.index:05}_0.json").read_text())
    assert record["sha256"] == artifact.sha256
    assert record["params"] == {"steps": 4, **params}
    assert (record["seed"], record["model"], record["position"]) == (params["seed"], job.model, artifact.index)
    assert record["batch_size"] == 3
    texts = _texts(data)
    assert texts["parameters"].startswith(params["prompt"] + "\n")
    assert json.loads(texts["stoker"])["params"] == record["params"]


def test_same_seed_gives_the_same_picture(tmp_path: Path) -> None:
    """We expect the pixels to be a matter of prompt, seed and model alone, whatever they share a run with."""
    with a_rig(tmp_path, config(engines=SPRITES)) as rig:
        item: dict[str, Any] = {"params": {"prompt": "a knight", "seed": 7}}
        alone = rig.client.submit([item]).job_id
        among = rig.client.submit([{"params": {"prompt": "x", "seed": 1}}, item]).job_id
        assert [rig.wait(job_id).state for job_id in (alone, among)] == [JobState.SUCCEEDED] * 2
        files = [rig.items(alone)[0].artifacts[0], rig.items(among)[1].artifacts[0]]
        pixels = [
            [body for kind, body in _chunks((rig.data_dir / file.path).read_bytes()) if kind == b"IDAT"]
            for file in files
        ]
        assert pixels[0] == pixels[1]


def test_bytes_are_read_in_pieces(rig: Rig) -> None:
    """We expect any piece of a file to be given with the size and hash of the whole."""
    job = rig.run("0123456789")
    (artifact,) = rig.client.artifacts(job.job_id)
    for offset, length in [(0, 100), (3, 4), (9, 5), (10, 1), (2**62, 1)]:
        reply = rig.ask(ReadArtifact(id="1", artifact_id=artifact.artifact_id, offset=offset, length=length))
        assert isinstance(reply, ArtifactBytes)
        assert reply.data == b"0123456789"[offset : offset + length]
        assert (reply.total, reply.sha256) == (10, artifact.sha256)
    reply = rig.ask(ReadArtifact(id="1", artifact_id=artifact.artifact_id + 1))
    assert isinstance(reply, ErrorReply)
    assert (reply.code, reply.field) == ("not_found", "artifact_id")


def test_fetched_files_are_those_that_were_made(rig: Rig, tmp_path: Path) -> None:
    """We expect every file of a job, also one of several pieces, and nothing for a job that has none."""
    job = rig.run("small", {"prompt": "large", "do": "big"}, {"prompt": "bad", "do": "fail"})
    paths = list(rig.client.fetch(job.job_id, tmp_path / "fetched"))
    made = [item.artifacts[0] for item in rig.items(job.job_id) if item.artifacts]
    assert [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths] == [file.sha256 for file in made]
    assert made[1].bytes == 8 << 20
    with pytest.raises(NotFound):
        list(rig.client.fetch("nobody", tmp_path / "fetched"))
