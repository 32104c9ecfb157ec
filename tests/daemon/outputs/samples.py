"""Runs, items and files to fill an output tree with, and a second opinion on PNG."""

import asyncio
import hashlib
import json
import zlib
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from dataclasses import replace as replace_facts
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from stoker_daemon.jobs.records import Files, JobFolder, Limits, Member, Output, Run, Signature
from stoker_daemon.outputs.tree import OutputTree
from stoker_protocol import codec
from stoker_protocol.jobs import Artifact, Item, ItemCounts, ItemState, Job, JobState, Priority

CREATED_MS = 1_767_225_599_999
"""The last millisecond of 2025 in UTC."""
LIMIT_S = 60.0
FOLDER = "outputs/2025-12-31/job-1"


@dataclass
class FixedClock:
    """A clock that stands still."""

    time_ms: int = 1_767_225_600_123

    def now_ms(self) -> int:
        return self.time_ms

    def monotonic_s(self) -> float:
        return self.time_ms / 1000


@asynccontextmanager
async def a_tree(data_dir: Path) -> AsyncGenerator[OutputTree]:
    """An output tree that is closed at the end; whoever uses it longer than LIMIT_S is cancelled."""
    tree = OutputTree(data_dir, FixedClock())
    try:
        async with asyncio.timeout(LIMIT_S):
            yield tree
    finally:
        await tree.close()


def a_member(index: int = 0, *, job_id: str = "job-1", position: int = 0, **params: Any) -> Member:
    """An item's part in a run."""
    return Member(
        position=position,
        job_key=1,
        job_id=job_id,
        index=index,
        custom_id=None,
        attempt=1,
        crashes=0,
        created_ms=CREATED_MS,
        params={"prompt": f"a knight {index}", "seed": index, "steps": 8, **params},
    )


def a_run(*members: Member) -> Run:
    """A claimed run of these members."""
    jobs = tuple(a_job(job_id) for job_id in {member.job_id for member in members})
    return Run("run-7", "gpu0", Signature("sprites", "residency"), Priority.NORMAL, members, Limits(60, 60), jobs)


def a_job(job_id: str = "job-1", **facts: Any) -> Job:
    """A running job of three items, or as `facts` have it."""
    job = Job(
        job_id=job_id,
        name="knights",
        state=JobState.RUNNING,
        priority=Priority.NORMAL,
        engine="sprites",
        model="hero",
        client="local",
        items=ItemCounts(total=3, running=3),
        created_at_ms=CREATED_MS,
    )
    return replace(job, **facts)


def a_folder(job: Job, artifacts: Sequence[Artifact], **facts: Any) -> JobFolder:
    """What is told of a final job: items that made these artifacts, or as `facts` have it."""
    items = tuple(
        Item(index, ItemState.SUCCEEDED, 1, artifacts=[a for a in artifacts if a.index == index])
        for index in sorted({artifact.index for artifact in artifacts})
    )
    files = Files(len(artifacts), sum(artifact.bytes for artifact in artifacts))
    return replace_facts(JobFolder(job, codec.pack({}), items, files), **facts)


def an_image(data: bytes, position: int = 0) -> Output:
    """An output that says it is a PNG."""
    return Output(position, data, "image/png", ".png", {"palette": "dusk"})


def a_png(shade: int = 0, *, width: int = 3, height: int = 2, texts: bytes = b"") -> bytes:
    """A small grey PNG file; `texts` are chunks to have after its header."""
    rows = (b"\0" + bytes([shade % 256]) * width) * height
    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([8, 0, 0, 0, 0])
    parts = [chunk(b"IHDR", header), texts, chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def chunk(kind: bytes, content: bytes) -> bytes:
    """One PNG chunk."""
    return len(content).to_bytes(4, "big") + kind + content + zlib.crc32(kind + content).to_bytes(4, "big")


def parse_png(data: bytes) -> list[tuple[bytes, bytes]]:
    """Kind and content of all chunks of a PNG, each with its checksum checked."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    chunks: list[tuple[bytes, bytes]] = []
    rest = data[8:]
    while rest:
        size = int.from_bytes(rest[:4], "big")
        kind, content, crc = rest[4:8], rest[8 : 8 + size], rest[8 + size : 12 + size]
        assert int.from_bytes(crc, "big") == zlib.crc32(kind + content)
        chunks.append((kind, content))
        rest = rest[12 + size :]
    return chunks


def texts_of(data: bytes) -> dict[str, str]:
    """The uncompressed texts in a PNG by keyword."""
    found: dict[str, str] = {}
    for kind, content in parse_png(data):
        keyword, _, text = content.partition(b"\0")
        if kind == b"tEXt":
            found[keyword.decode("latin-1")] = text.decode("latin-1")
        elif kind == b"iTXt":
            assert text[:4] == b"\0\0\0\0"  # not compressed, no language, no translated keyword
            found[keyword.decode("latin-1")] = text[4:].decode()
    return found


def pixels_of(data: bytes) -> bytes:
    """The undecoded pixels of a PNG."""
    return b"".join(content for kind, content in parse_png(data) if kind == b"IDAT")


def files_below(folder: Path) -> list[str]:
    """All that is no folder, relative and sorted."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())


def record_of(data_dir: Path, path: str) -> dict[str, Any]:
    """The record that belongs to an output's path."""
    file = Path(path)
    return json.loads((data_dir / file.parent.parent / "metadata" / f"{file.stem}.json").read_bytes())


def check_whole(data_dir: Path) -> list[str]:
    """Check that every image below a data folder is whole and has a record; their paths."""
    images = [path for path in files_below(data_dir) if "/images/" in path and not Path(path).name.startswith(".")]
    for path in images:
        parse_png((data_dir / path).read_bytes())
        assert record_of(data_dir, path)["index"] == int(Path(path).name[:5])
    return images


def sha256_of(data: bytes) -> str:
    """The checksum as records have it."""
    return hashlib.sha256(data).hexdigest()
