"""How a worker ended, told from its exit status and what the kernel counted: of itself, by a signal, out of memory."""

import os
import signal
from dataclasses import dataclass
from pathlib import Path

from stoker_protocol.errors import FailureKind

VMSTAT = Path("/proc/vmstat")
NEARLY_ALL = 0.9
"""A worker that held so much of its limit when it broke down did so for want of more."""
_SIGNAL_NAMES = {int(s): s.name for s in signal.Signals}


@dataclass(frozen=True, slots=True)
class Death:
    """The exit code of a worker (negative: the signal), and whether it, or what it was in, had run out of memory."""

    code: int
    told_to_end: bool
    by_kernel: bool
    peak_bytes: int
    limit_bytes: int

    @classmethod
    def of(cls, pid: int, *, told_to_end: bool, kills_before: int, limit_bytes: int) -> "Death":
        """Reap a process that has ended; `kills_before` is what `kills_for_memory` was when it began."""
        _, status, usage = os.wait4(pid, 0)
        code = os.waitstatus_to_exitcode(status)
        by_kernel = code == -signal.SIGKILL and not told_to_end and kills_for_memory() > kills_before
        return cls(code, told_to_end, by_kernel, usage.ru_maxrss << 10, limit_bytes)

    @property
    def kind(self) -> FailureKind:
        """What that means for the run at work."""
        return FailureKind.OOM if self.by_kernel or self._was_full else FailureKind.CRASH

    def __str__(self) -> str:
        if self.told_to_end and -self.code in (signal.SIGTERM, signal.SIGKILL):
            return f"the worker was ended by the daemon ({_SIGNAL_NAMES[-self.code]})"
        if self.by_kernel:
            return "the worker was killed by the kernel because memory ran out"
        if self._was_full:
            return (
                f"{self._how} when it held {self.peak_bytes >> 20} of its {self.limit_bytes >> 20} MB (memory_limit_mb)"
            )
        return self._how + (", perhaps because memory ran out" if self.code == -signal.SIGKILL else "")

    @property
    def _how(self) -> str:
        if self.code >= 0:
            return f"the worker exited with code {self.code}"
        return f"the worker was killed by {_SIGNAL_NAMES.get(-self.code, f'signal {-self.code}')}"

    @property
    def _was_full(self) -> bool:
        full = bool(self.limit_bytes) and self.peak_bytes >= NEARLY_ALL * self.limit_bytes
        return full and self.code != 0 and not self.told_to_end


def kills_for_memory() -> int:
    """How many processes the kernel has killed since it booted because memory ran out; 0 where it does not say.

    Source: proc(5), `oom_kill` in /proc/vmstat, since Linux 4.13.
    """
    try:
        counts = dict(line.split() for line in VMSTAT.read_text().splitlines())
        return int(counts.get("oom_kill", 0))
    except (OSError, ValueError):
        return 0
