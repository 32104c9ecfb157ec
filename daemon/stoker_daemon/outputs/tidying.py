"""Removes what a daemon that was cut short left in the tree."""

from collections import defaultdict
from collections.abc import Sequence, Set
from functools import partial
from pathlib import PurePosixPath

from stoker_daemon.jobs.records import Member
from stoker_daemon.outputs.disk import Disk
from stoker_daemon.outputs.layout import (
    FILES,
    IMAGES,
    METADATA,
    is_about_the_job,
    is_temporary,
    job_folder,
    owner,
)

STEP = 100
"""Files removed in one go: outputs that wait to be saved wait no longer than that takes."""

_FOLDERS = (IMAGES, FILES, METADATA)


def forget_unknown(disk: Disk, members: Sequence[Member], known: Set[str]) -> int:
    """Remove the files of these items that are not known; a record is known when its output is. How many."""
    indexes: defaultdict[PurePosixPath, set[int]] = defaultdict(set)
    for member in members:
        indexes[job_folder(member.job_id, member.created_ms)].add(member.index)
    return sum(_forget_in_job(disk, folder, wanted, known) for folder, wanted in indexes.items())


def forget_temporaries(disk: Disk, job: PurePosixPath) -> int:
    """Remove files that were never completed from a job's folder; how many."""
    folders = (job, *(job / name for name in _FOLDERS))
    return sum(disk.remove(folder, is_temporary) for folder in folders)


def remove_some(disk: Disk, job: PurePosixPath) -> bool:
    """Remove at most STEP of the files that we made for a job, at last its empty folders; False: none was left.

    What tells of the files goes before them. What people put there stays, and keeps its folder.
    """
    if disk.remove(job, is_about_the_job, STEP):
        return True
    folders = [job / name for name in _FOLDERS]
    if any(disk.remove(folder, lambda name: owner(name) is not None, STEP) for folder in folders):
        return True
    for folder in (*folders, job, job.parent):
        disk.remove_folder(folder)
    return False


def _forget_in_job(disk: Disk, job: PurePosixPath, indexes: Set[int], known: Set[str]) -> int:
    known_stems = {path.stem for path in map(PurePosixPath, known) if path.is_relative_to(job)}

    def is_doomed(folder: PurePosixPath, name: str) -> bool:
        owned = owner(name)
        if owned is None or owned[0] not in indexes:
            return False
        if folder.name == METADATA:
            return is_temporary(name) or owned[1] not in known_stems
        return str(folder / name) not in known

    return sum(disk.remove(job / name, partial(is_doomed, job / name)) for name in _FOLDERS)
