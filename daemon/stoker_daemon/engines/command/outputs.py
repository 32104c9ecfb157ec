"""What a command leaves in its scratch folder: the files that are kept, read without ever leaving the folder."""

import os
import shutil
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

MAX_FILES = 100
MAX_LOOKED_AT = 10_000
_MEDIA_TYPES = {
    "csv": "text/csv",
    "gif": "image/gif",
    "html": "text/html",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "json": "application/json",
    "jsonl": "application/jsonl",
    "log": "text/plain",
    "md": "text/markdown",
    "mp4": "video/mp4",
    "pdf": "application/pdf",
    "png": "image/png",
    "txt": "text/plain",
    "wav": "audio/wav",
    "webp": "image/webp",
    "xml": "application/xml",
}


class Unfit(Exception):
    """An output can't be kept; the text says which, and why."""


@dataclass(frozen=True, slots=True)
class File:
    """A file of the scratch folder, by its path in it."""

    path: str
    data: bytes

    @property
    def suffix(self) -> str:
        """The end of its name, with the dot."""
        return Path(self.path).suffix or ".bin"

    @property
    def media_type(self) -> str:
        """What it is by its name; bytes of unknown meaning else."""
        return _MEDIA_TYPES.get(self.suffix[1:].lower(), "application/octet-stream")


def collect(scratch: Path, patterns: Sequence[str], most: int) -> list[File]:
    """The files that match a pattern, sorted by path, `most` bytes in all. Nobody may write to them any more.

    Raises:
        Unfit: One is too large, not a plain file or not readable, or there are too many.
    """
    if not patterns:
        return []
    paths = sorted(path for path in _paths(scratch) if any(fnmatchcase(path, pattern) for pattern in patterns))
    if len(paths) > MAX_FILES:
        raise Unfit(f"{len(paths)} output files are more than {MAX_FILES}")
    files: list[File] = []
    for path in paths:
        files.append(File(path, _read(scratch, path, most)))
        most -= len(files[-1].data)
    return files


def remove(scratch: Path) -> None:
    """Remove the folder with all that is in it, also where nobody may write."""
    if scratch.exists():
        scratch.chmod(0o700)
    for folder, folders, _ in os.walk(scratch):
        for inner in (Path(folder, name) for name in folders):
            if not inner.is_symlink():
                inner.chmod(0o700)
    shutil.rmtree(scratch, ignore_errors=True)


def _paths(scratch: Path) -> Iterator[str]:
    """All that is in the folder but folders, by the path from there; links to folders are not followed."""
    looked_at = 0
    for folder, folders, names in os.walk(scratch):
        links = [name for name in folders if Path(folder, name).is_symlink()]
        for name in (*names, *links):
            yield str(Path(folder, name).relative_to(scratch))
        looked_at += len(folders) + len(names)
        if looked_at > MAX_LOOKED_AT:
            raise Unfit(f"there are more than {MAX_LOOKED_AT} files in the scratch folder")


def _read(scratch: Path, path: str, most: int) -> bytes:
    try:
        path.encode()  # a name that is not UTF-8 could not be told to anybody
        fd = os.open(scratch / path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        why = "is a link" if (scratch / path).is_symlink() else (error.strerror or str(error)).lower()
        raise Unfit(f"the output {path!r:.200} can't be read: {why}") from None
    except UnicodeEncodeError:
        raise Unfit(f"the output {path!r:.200} has a name that is not UTF-8") from None
    with os.fdopen(fd, "rb") as file:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise Unfit(f"the output {path!r:.200} is not a plain file")
        data = file.read(most + 1)
    if len(data) > most:
        raise Unfit(f"the output {path!r:.200} is too large: {most} bytes are left for it")
    return data
