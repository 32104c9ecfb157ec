"""Finds and ends what the worker of a dead daemon left behind: a file says which process that was."""

import os
import select
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

OWNER = "STOKER_WORKER"
"""The environment variable by which a process that a worker started is known as such: the worker's file."""
_GONE_WITHIN_S = 5.0
_STATE, _START_TIME = 0, 19
"""Where these are among the fields of /proc/PID/stat that follow the command name; source: proc(5)."""


def remember(pid_file: Path, pid: int) -> None:
    """Write down which process a later daemon has to end if this one can't."""
    pid_file.write_text(f"{pid} {_birth(pid)}\n")


def forget(pid_file: Path) -> None:
    """The process has ended."""
    pid_file.unlink(missing_ok=True)


def end_leftover(pid_file: Path) -> int | None:
    """Kill the worker that the file names with all that it started, and return its pid if it still lived.

    For the start of a daemon, once it alone owns the data directory; waits until they are gone.
    """
    try:
        pid_text, _, birth = pid_file.read_text().strip().partition(" ")
        pid = int(pid_text)
    except (OSError, ValueError):
        return None
    is_alive = _state(pid) not in "ZX" and birth != "" and birth == _birth(pid)
    if is_alive:
        _kill(pid, with_group=True)
    end_orphans(pid_file)
    forget(pid_file)
    return pid if is_alive else None


def end_orphans(pid_file: Path) -> None:
    """Kill what an ended worker started and left behind, also in sessions of its own; waits until it is gone.

    Not while another worker has that file: what it starts is marked the same.
    """
    for pid in _marked(f"{OWNER}={pid_file}"):
        _kill(pid, with_group=False)


def _marked(mark: str) -> Iterator[int]:
    for entry in Path("/proc").glob("[0-9]*"):
        pid = int(entry.name)
        if mark in _environment(entry) and _state(pid) not in "ZX":
            yield pid


def _kill(pid: int, *, with_group: bool) -> None:
    try:
        pidfd = os.pidfd_open(pid)
    except (OSError, OverflowError):
        return
    try:
        with suppress(ProcessLookupError):
            (os.killpg if with_group else os.kill)(pid, signal.SIGKILL)
        select.select([pidfd], [], [], _GONE_WITHIN_S)
    finally:
        os.close(pidfd)


def _birth(pid: int) -> str:
    """When a process began, so that another one with its pid is not taken for it.

    Clock ticks since boot and which boot that was: unlike the time of day, no clock adjustment changes them.
    """
    fields = _stat(pid)
    return f"{fields[_START_TIME]} {Path('/proc/sys/kernel/random/boot_id').read_text().strip()}" if fields else ""


def _state(pid: int) -> str:
    """The letter of its state; `Z` has ended and only waits to be reaped, `X` is not there."""
    return (_stat(pid) or ["X"])[_STATE]


def _stat(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _environment(process: Path) -> list[str]:
    try:
        return (process / "environ").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return []
