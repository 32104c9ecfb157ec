"""A disk that fails as a test says: a library between a daemon and its files, made with the C compiler."""

import shutil
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.system.daemons import Rig, a_rig

SOURCE = Path(__file__).with_suffix(".c")
_INTERPRETER = """#!/bin/sh
# Stands in for the interpreter in `python -m stoker_daemon ...`.
export LD_PRELOAD="{library}" DISK_ROOT="{disk.root}" DISK_RULES="{disk.rules}" DISK_TRACE="{disk.trace}"
exec "{python}" "$@"
"""


class FailingDisk:
    """What lies in `root` of the programs that `interpreter` starts; well until it is told otherwise."""

    def __init__(self, folder: Path, library: Path) -> None:
        self.root = folder / "data"
        self.rules = folder / "rules"
        self.trace = folder / "trace"
        self.interpreter = folder / "interpreter"
        self.interpreter.write_text(_INTERPRETER.format(disk=self, library=library, python=sys.executable))
        self.interpreter.chmod(0o755)

    def fail(self, calls: str, error: int, pattern: str, *, after: int = 0) -> None:
        """Let calls (`fsync write`) on paths that match fail, after so many that go well.

        The calls are fsync, write, read, open (to write), rename, mkdir and unlink.
        """
        self._replace_rules("".join(f"{call} {error} {after} {pattern}\n" for call in calls.split()))

    def heal(self) -> None:
        """Be well again."""
        self._replace_rules("")

    def _replace_rules(self, text: str) -> None:
        fresh = self.rules.with_suffix(".new")
        fresh.write_text(text)
        fresh.replace(self.rules)


def build(folder: Path) -> Path:
    """Compile the library; without a compiler the test is left out."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no disk to fail: it takes a C compiler (on Debian: apt install gcc libc6-dev)")
    library = folder / "failing_disk.so"
    options = ["-shared", "-fPIC", "-O1", "-U_FORTIFY_SOURCE"]
    subprocess.run([compiler, *options, "-o", library, SOURCE, "-ldl"], check=True, timeout=60)
    return library


@contextmanager
def a_rig_on_a_failing_disk(folder: Path, library: Path) -> Generator[tuple[Rig, FailingDisk]]:
    """A daemon whose data lies on a disk that can fail; it is well at the end, and what lies there is audited."""
    disk = FailingDisk(folder, library)
    with a_rig(folder, python=str(disk.interpreter)) as rig:
        try:
            yield rig, disk
        finally:
            disk.heal()
