"""Outputs on their way to disk: the record before the file, and one sync of a folder for all that are new in it."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import NamedTuple

from stoker_daemon.jobs.records import SavedArtifact
from stoker_daemon.outputs.disk import Disk
from stoker_daemon.outputs.provenance import Origin, finish

Outcome = SavedArtifact | OSError


class Save(NamedTuple):
    """An output to be saved, and where it and its record belong."""

    origin: Origin
    path: PurePosixPath
    record_path: PurePosixPath


def save_all(disk: Disk, saves: Sequence[Save]) -> list[Outcome]:
    """What became of each: it is on disk for good, or the error, and then nothing of it is left staged."""
    outcomes = [_stage(disk, save) for save in saves]
    _publish(disk, [save.record_path for save in saves], outcomes)
    _publish(disk, [save.path for save in saves], outcomes)
    for save, outcome in zip(saves, outcomes, strict=True):
        if isinstance(outcome, OSError):
            disk.discard(save.record_path)
            disk.discard(save.path)
    return outcomes


def _stage(disk: Disk, save: Save) -> Outcome:
    finished = finish(save.origin)
    try:
        disk.stage(save.record_path, finished.record)
        disk.stage(save.path, finished.data)
    except OSError as error:
        return error
    return SavedArtifact(
        output=save.origin.output,
        path=str(save.path),
        media_type=save.origin.made.media_type,
        sha256=finished.sha256,
        bytes=len(finished.data),
    )


def _publish(disk: Disk, paths: Sequence[PurePosixPath], outcomes: list[Outcome]) -> None:
    """Give the staged files their names, then make the names durable; what goes wrong becomes the outcome."""
    published: defaultdict[PurePosixPath, list[int]] = defaultdict(list)
    for number, path in enumerate(paths):
        if isinstance(outcomes[number], OSError):
            continue
        try:
            disk.publish(path)
        except OSError as error:
            outcomes[number] = error
        else:
            published[path.parent].append(number)
    for folder, numbers in published.items():
        try:
            disk.sync(folder)
        except OSError as error:
            for number in numbers:
                outcomes[number] = error
