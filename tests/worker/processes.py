"""What tests need to know of processes, and how they wait for it."""

import os
import time
from collections.abc import Callable
from pathlib import Path

BOUND_S = 60.0


def wait_for(condition: Callable[[], object]) -> None:
    """Look again and again until the condition holds, for a minute at most."""
    deadline_s = time.monotonic() + BOUND_S
    while not condition():
        assert time.monotonic() < deadline_s, "it never came true"
        time.sleep(0.01)  # polls


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that ended but was not reaped does not."""
    return state_of(pid) not in "ZX"


def state_of(pid: int) -> str:
    """The letter of its state as in proc(5); `X` when there is no such process."""
    return (_stat(pid) or ["X"])[0]


def cpu_seconds(pid: int) -> float:
    """What it has used of a processor in user mode so far."""
    fields = _stat(pid)
    return int(fields[11]) / os.sysconf("SC_CLK_TCK") if fields else 0.0


def _stat(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
