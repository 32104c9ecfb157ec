"""Finds and ends the worker that a dead daemon left behind: a file says which process that was."""

import os
import select
import signal
from contextlib import suppress
from pathlib import Path

_GONE_WITHIN_S = 5.0
_START_TIME = 19
"""The index of `starttime` among the fields of /proc/PID/stat that follow the command name; source: proc(5)."""


def remember(pid_file: Path, pid: int) -> None:
    """Write down which process a later daemon has to end if this one can't."""
    pid_file.write_text(f"{pid} {_birth(pid)}\n")


def forget(pid_file: Path) -> None:
    """The process has ended."""
    pid_file.unlink(missing_ok=True)


def end_leftover(pid_file: Path) -> int | None:
    """Kill the process group of the worker that the file names, if it still lives, and return its pid.

    For the start of a daemon, once it alone owns the data directory; waits until the process is gone.
    """
    try:
        pid_text, _, birth = pid_file.read_text().strip().partition(" ")
        pid = int(pid_text)
    except (OSError, ValueError):
        return None
    ended = _kill_group(pid, birth)
    forget(pid_file)
    return pid if ended else None


def _kill_group(pid: int, birth: str) -> bool:
    try:
        pidfd = os.pidfd_open(pid)
    except (OSError, OverflowError):
        return False
    try:
        if not birth or birth != _birth(pid):
            return False
        with suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
        select.select([pidfd], [], [], _GONE_WITHIN_S)
        return True
    finally:
        os.close(pidfd)


def _birth(pid: int) -> str:
    """When a process began, so that another one with its pid is not taken for it.

    Clock ticks since boot and which boot that was: unlike the time of day, no clock adjustment changes them.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return f"{fields[_START_TIME]} {Path('/proc/sys/kernel/random/boot_id').read_text().strip()}"
