"""Whether results are exactly what was asked for: counted, compared with the files on disk, and hashed."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from stoker_client.sync_client import Client
from stoker_protocol.jobs import Artifact, Item, ItemState


class Claim(NamedTuple):
    """Something that ought to be so, whether it is, and the figures."""

    text: str
    holds: bool
    figures: str


def prove(client: Client, data_dir: Path, asked: Mapping[str, int]) -> list[Claim]:
    """Check jobs that should be complete; `asked` has the number of prompts of each."""
    items = {job_id: list(client.items(job_id)) for job_id in asked}
    recorded = [artifact for of_job in items.values() for item in of_job for artifact in item.artifacts]
    files = [file for job_id in asked for file in data_dir.glob(f"outputs/*/{job_id}/images/*")]
    return [
        _each_has_one(items, asked),
        _none_missing_or_doubled(recorded, files, data_dir),
        _all_as_recorded(recorded, data_dir),
    ]


def each_seen_once(seen: Mapping[tuple[str, int], int], asked: Mapping[str, int]) -> Claim:
    """Whether a watch was told of each item's success exactly once; `seen` counts by job and index."""
    wanted = {(job_id, index): 1 for job_id, count in asked.items() for index in range(count)}
    figures = f"{sum(wanted.values())} pictures, {sum(seen.values())} endings seen"
    return Claim("the watch was told of each exactly once", dict(seen) == wanted, figures)


def _each_has_one(items: Mapping[str, list[Item]], asked: Mapping[str, int]) -> Claim:
    results = {
        job_id: [item.index for item in of_job if item.state is ItemState.SUCCEEDED and len(item.artifacts) == 1]
        for job_id, of_job in items.items()
    }
    holds = all(results[job_id] == list(range(count)) for job_id, count in asked.items())
    figures = f"{sum(asked.values())} prompts, {sum(map(len, results.values()))} results"
    return Claim("every prompt has exactly one result", holds, figures)


def _none_missing_or_doubled(recorded: list[Artifact], files: list[Path], data_dir: Path) -> Claim:
    paths = [data_dir / artifact.path for artifact in recorded]
    figures = f"{len(paths)} in the records, {len(files)} on disk"
    return Claim("no picture is missing, none is there twice", sorted(paths) == sorted(files), figures)


def _all_as_recorded(recorded: list[Artifact], data_dir: Path) -> Claim:
    good = sum(_sha256(data_dir / artifact.path) == artifact.sha256 for artifact in recorded)
    figures = f"{good} of {len(recorded)} checksums agree"
    return Claim("every picture is whole, byte for byte", good == len(recorded), figures)


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else ""
