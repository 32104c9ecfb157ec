"""Small file systems of a test's own: mounted, filled, freed, made read-only."""

import os
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest


class SmallDisk:
    """A file system in memory at `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._filler = path / "filler"

    def fill(self) -> None:
        """Leave not one byte."""
        room = os.statvfs(self.path)
        with self._filler.open("ab") as file:
            file.write(bytes(room.f_bavail * room.f_frsize))

    def free(self) -> None:
        """Make room again."""
        self._filler.unlink()

    def forbid_writes(self) -> None:
        """Make it read-only, as a kernel does with a disk that failed."""
        _run("mount", "-o", "remount,ro", str(self.path))

    def allow_writes(self) -> None:
        """Make it writable again."""
        _run("mount", "-o", "remount,rw", str(self.path))


@contextmanager
def small_disk(path: Path, size: str = "8m") -> Generator[SmallDisk]:
    """Mount one; where that is not allowed the test is left out, in CI it fails."""
    path.mkdir(parents=True, exist_ok=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", path], capture_output=True, text=True, timeout=60
    )
    if mounted.returncode != 0:
        reason = f"no file system of {size} to fill: {mounted.stderr.strip()}"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    try:
        yield SmallDisk(path)
    finally:
        _run("umount", str(path))


def _run(*command: str) -> None:
    subprocess.run(command, check=True, timeout=60)
