"""What processes use, as Linux tells in /proc."""

import os
from pathlib import Path

_PARENT, _USER_TIME, _SYSTEM_TIME = 1, 11, 12
"""Where these are among the fields of /proc/PID/stat that follow the command name; source: proc(5)."""
_MS_A_TICK = 1000 / os.sysconf("SC_CLK_TCK")


def rss_mib(pid: int) -> float:
    """The resident memory of a process, pages that it shares with others included."""
    return _memory_mib(pid, "Rss")


def pss_mib(pid: int) -> float:
    """The resident memory of a process, of shared pages only its part."""
    return _memory_mib(pid, "Pss")


def cpu_ms(pids: list[int]) -> float:
    """The CPU time that processes have used so far, in whole clock ticks each."""
    return sum((int(f[_USER_TIME]) + int(f[_SYSTEM_TIME])) * _MS_A_TICK for f in map(_stat, pids))


def threads_us(pid: int) -> float:
    """The CPU time that the threads of a process, as far as they are there, have used so far; to the nanosecond."""
    tasks = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1000


def with_children(pid: int) -> list[int]:
    """A process and those that it started."""
    running = [int(entry.name) for entry in Path("/proc").glob("[0-9]*")]
    return [pid, *(other for other in running if (fields := _stat(other)) and int(fields[_PARENT]) == pid)]


def _memory_mib(pid: int, name: str) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) / 1024


def _stat(pid: int) -> list[str]:
    """The fields after the command name, none if the process is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
