"""Finds out whether what a daemon keeps on disk is sound, and says what to do where it is not."""

import hashlib
import shutil
import sqlite3
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from stoker_daemon.sqlite.checking import check_database, known_files
from stoker_daemon.sqlite.database import FILE_NAME, StoreError, explain
from stoker_protocol.replies import Finding

LITTLE_ROOM = 256 << 20
"""Bytes that should be free at least: some thousand images, and a database that may grow."""
GLANCE_BYTES = 64 << 20
GLANCE_FILES = 5_000
REMAKE = "submit their items again to have them made anew, or bring the files back from a backup of the directory"


def glance(data_dir: Path) -> list[Finding]:
    """What a second shows: a small database, the newest files, the room that is left."""
    findings: list[Finding] = []
    try:
        findings.extend(_look(data_dir, largest=GLANCE_BYTES, limit=GLANCE_FILES, checksums=False))
    except OSError as error:  # too many open files, or a directory that was removed
        findings.append(Finding("data directory", ok=False, detail=f"it can't be looked at: {error}"))
    return findings


def check(data_dir: Path, *, checksums: bool = False) -> list[Finding]:
    """Look through the whole database and all outputs, with `checksums` at every byte."""
    return list(_look(data_dir, largest=None, limit=None, checksums=checksums))


def _look(data_dir: Path, *, largest: int | None, limit: int | None, checksums: bool) -> Iterator[Finding]:
    path = data_dir / FILE_NAME
    try:
        yield from check_database(data_dir, largest)
        yield _artifacts(data_dir, checksums=checksums, limit=limit)
    except StoreError as error:
        yield Finding("database", ok=False, detail=str(error))
    except sqlite3.Error as error:
        yield Finding("database", ok=False, detail=explain(path, error))
    yield _room(data_dir)


def _artifacts(data_dir: Path, *, checksums: bool, limit: int | None) -> Finding:
    missing: list[str] = []
    changed: list[str] = []
    count = 0
    for known in islice(known_files(data_dir), limit):
        count += 1
        file = data_dir / known.path
        if not file.is_file():
            missing.append(known.path)
        elif file.stat().st_size != known.bytes or (checksums and _sha256(file) != known.sha256):
            changed.append(known.path)
    if not missing and not changed:
        return Finding("outputs", ok=True, detail=f"{count} files, all as recorded")
    detail = (
        f"{len(missing)} of {count} files are gone, {len(changed)} were changed: {(missing + changed)[0]}; {REMAKE}"
    )
    return Finding("outputs", ok=False, detail=detail)


def _room(data_dir: Path) -> Finding:
    free = shutil.disk_usage(data_dir).free
    detail = f"{free >> 20} MiB free"
    if free < LITTLE_ROOM:
        detail += "; when it is full, work waits until there is room again"
    return Finding("disk", ok=free >= LITTLE_ROOM, detail=detail)


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
