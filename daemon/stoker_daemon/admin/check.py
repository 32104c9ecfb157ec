"""Finds out whether what a daemon keeps on disk is sound, and says what to do where it is not."""

import hashlib
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from stoker_daemon.sqlite.checking import check_database, known_files
from stoker_daemon.sqlite.database import FILE_NAME, StoreError, explain
from stoker_protocol.replies import Finding

LITTLE_ROOM = 256 << 20
"""Bytes that should be free at least: some thousand images, and a database that may grow."""
REMAKE = "submit their items again to have them made anew, or bring the files back from a backup of the directory"


def check(data_dir: Path, *, checksums: bool = False, files: int | None = None) -> Iterator[Finding]:
    """Look through database and outputs; with `checksums` every byte, with `files` only so many of the newest files."""
    path = data_dir / FILE_NAME
    try:
        yield from check_database(data_dir)
        yield _artifacts(data_dir, checksums=checksums, limit=files)
    except StoreError as error:
        yield Finding("database", ok=False, detail=str(error))
    except sqlite3.Error as error:
        yield Finding("database", ok=False, detail=explain(path, error))
    yield _room(data_dir)


def _artifacts(data_dir: Path, *, checksums: bool, limit: int | None) -> Finding:
    missing: list[str] = []
    changed: list[str] = []
    count = 0
    for count, known in enumerate(known_files(data_dir), start=1):
        if limit is not None and count > limit:
            break
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
