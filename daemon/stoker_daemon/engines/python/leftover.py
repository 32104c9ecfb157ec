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
_STATE, _SESSION, _START_TIME = 0, 3, 19
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
    for member in [pid] if is_alive else _orphans(pid, f"{OWNER}={pid_file}"):
        _kill(member, with_group=is_alive)
    forget(pid_file)
    return pid if is_alive else None


def _orphans(session: int, mark: str) -> Iterator[int]:
    """Processes of a session whose leader is dead. The mark tells them from those of a later one with its number."""
    for entry in Path("/proc").glob("[0-9]*"):
        fields, pid = _stat(int(entry.name)), int(entry.name)
        if fields and int(fields[_SESSION]) == session and _state(pid) not in "ZX" and mark in _environment(entry):
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
