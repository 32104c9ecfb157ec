"""What this process holds in memory, how much it may, and how what models leave behind is given back."""

import ctypes
import gc
import os
import resource
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from stoker_protocol.worker import Holding

_KILL_FIRST = 500
"""Added to how likely the kernel is to kill this process when memory runs out: a daemon has 0. Source: proc(5)."""


class Held(NamedTuple):
    """Bytes that are held on GPUs, as far as torch is there and sees one, and by the process in all."""

    gpu: int | None
    process: int

    def holding(self, model: str, before: "Held") -> Holding:
        """What came since as that of a model: on GPUs if torch sees any, else in the process."""
        if self.gpu is not None:
            return Holding(model, max(0, self.gpu - (before.gpu or 0)), on_gpu=True)
        return Holding(model, max(0, self.process - before.process))


def held() -> Held:
    """What is held now, once garbage is gone."""
    gc.collect()
    cuda = _cuda()
    gpu = None if cuda is None else sum(cuda.memory_allocated(device) for device in range(cuda.device_count()))
    return Held(gpu, _resident_bytes())


def release() -> None:
    """Give what models left behind back to the GPU and the system, which else stays in pools of this process."""
    gc.collect()
    if (cuda := _cuda()) is not None:
        cuda.empty_cache()
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def bound(megabytes: int) -> None:
    """Let allocations fail beyond so many megabytes of data, and the kernel choose this process before the daemon.

    Only what can be written counts, since Linux 4.7: address space that GPU drivers reserve does not. Source:
    getrlimit(2), RLIMIT_DATA.
    """
    if megabytes:
        resource.setrlimit(resource.RLIMIT_DATA, (megabytes << 20, megabytes << 20))
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(str(_KILL_FIRST))


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out: GPU libraries have an error of their own for that, which is known by its name.

    Torch says of the host's memory only in words that there was not enough.
    """
    if isinstance(error, MemoryError) or "OutOfMemory" in type(error).__name__:
        return True
    return isinstance(error, RuntimeError) and "DefaultCPUAllocator" in str(error)


def _cuda() -> Any | None:
    """Torch's view of the GPUs, if it was imported and there are any."""
    torch = sys.modules.get("torch")
    cuda: Any = getattr(torch, "cuda", None)
    return cuda if cuda is not None and cuda.is_available() else None


def _resident_bytes() -> int:
    """Source: proc(5), /proc/PID/statm, the second field."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0
