"""Asks NVIDIA's driver, through NVML, how the GPUs are; whatever it does not know or support is None."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, TypeVar

import pynvml
from msgspec import structs

from stoker_daemon.gpu.processes import Processes
from stoker_protocol.gpus import Gpu, GpuProcess

T = TypeVar("T")

nvml: Any = pynvml
"""Its functions have no types."""

_NO_DRIVER = frozenset(
    {nvml.NVML_ERROR_LIBRARY_NOT_FOUND, nvml.NVML_ERROR_DRIVER_NOT_LOADED, nvml.NVML_ERROR_FUNCTION_NOT_FOUND}
)
_GONE = frozenset({nvml.NVML_ERROR_GPU_IS_LOST, nvml.NVML_ERROR_RESET_REQUIRED})
_UNSUPPORTED = frozenset({nvml.NVML_ERROR_NOT_SUPPORTED, nvml.NVML_ERROR_FUNCTION_NOT_FOUND})


class Trouble(Exception):
    """No GPU can be seen, and why."""


class Driver:
    """NVML from the first `gpus` to `close`; it is opened anew after it failed. Not for two threads at a time.

    What it answers and when it refuses: https://docs.nvidia.com/deploy/nvml-api/
    """

    def __init__(self) -> None:
        self._is_open = False
        self._known = Processes()

    def gpus(self, host_total: int, host_available: int) -> list[Gpu]:
        """All GPUs, of one that is divided (MIG) its parts; those without memory of their own share the host's.

        Raises:
            Trouble: There is no driver, or it does not work.
        """
        try:
            if not self._is_open:
                nvml.nvmlInit()
                self._is_open = True
            found = [gpu for index in range(nvml.nvmlDeviceGetCount()) for gpu in self._at(index)]
        except nvml.NVMLError as error:
            self.close()
            raise Trouble(_explained(error)) from None
        self._known.forget_all_but({process.pid for gpu in found for process in gpu.processes})
        return [_with_memory_of_host(gpu, host_total, host_available) for gpu in found]

    def close(self) -> None:
        """Let NVML go."""
        if self._is_open:
            self._is_open = False
            with suppress(nvml.NVMLError):
                nvml.nvmlShutdown()

    def _at(self, index: int) -> Iterator[Gpu]:
        try:
            handle = nvml.nvmlDeviceGetHandleByIndex(index)
        except nvml.NVMLError as error:
            yield Gpu(index, "unknown", f"at {index}", trouble=_explained(error))
            return
        parts = list(_parts(handle))
        if not parts:
            yield self._looked_at(index, handle, handle)
        whole = _text(nvml.nvmlDeviceGetUUID, handle)
        for part in parts:
            yield self._looked_at(index, part, handle, whole)

    def _looked_at(self, index: int, handle: Any, whole: Any, part_of: str = "") -> Gpu:
        """What the driver says of a GPU or a part of one; heat and power are those of the `whole`."""
        total, free, is_unified, trouble = _memory(handle)
        use = _asked(nvml.nvmlDeviceGetUtilizationRates, handle)
        return Gpu(
            index=index,
            name=_text(nvml.nvmlDeviceGetName, handle) or "unknown",
            uuid=_text(nvml.nvmlDeviceGetUUID, handle) or f"at {index}",
            memory_total=total,
            memory_free=free,
            is_unified=is_unified,
            part_of=part_of,
            utilisation=None if use is None else float(use.gpu),
            temperature_c=_asked(lambda: float(nvml.nvmlDeviceGetTemperature(whole, nvml.NVML_TEMPERATURE_GPU))),
            power_w=_asked(lambda: nvml.nvmlDeviceGetPowerUsage(whole) / 1000),
            power_limit_w=_asked(lambda: nvml.nvmlDeviceGetEnforcedPowerLimit(whole) / 1000),
            processes=self._processes(handle),
            trouble=trouble,
        )

    def _processes(self, handle: Any) -> list[GpuProcess]:
        """Those that compute or draw, that of the most memory first."""
        found: dict[int, int | None] = {}
        for question in (nvml.nvmlDeviceGetComputeRunningProcesses, nvml.nvmlDeviceGetGraphicsRunningProcesses):
            listed: list[Any] = _asked(question, handle) or []
            for process in listed:
                # One that does both is listed twice, with all of its memory each time.
                known = found.get(process.pid)
                found[process.pid] = process.usedGpuMemory if known is None else max(known, process.usedGpuMemory or 0)
        facts = {pid: self._known.facts(pid) for pid in found}
        named = [
            GpuProcess(pid, facts[pid].name, used, facts[pid].ports, facts[pid].is_ours) for pid, used in found.items()
        ]
        return sorted(named, key=lambda process: (-(process.bytes or 0), process.pid))


def _parts(handle: Any) -> Iterator[Any]:
    """The MIG instances of a GPU that is divided."""
    mode = _asked(nvml.nvmlDeviceGetMigMode, handle)
    if not mode or mode[0] != nvml.NVML_DEVICE_MIG_ENABLE:
        return
    for index in range(_asked(nvml.nvmlDeviceGetMaxMigDeviceCount, handle) or 0):
        part = _asked(nvml.nvmlDeviceGetMigDeviceHandleByIndex, handle, index)
        if part is not None:
            yield part


def _memory(handle: Any) -> tuple[int | None, int | None, bool, str]:
    """Bytes in all and free; whether there is none of its own; and what keeps the driver from telling."""
    try:
        memory = nvml.nvmlDeviceGetMemoryInfo(handle)
    except nvml.NVMLError as error:
        return None, None, error.value in _UNSUPPORTED, _explained(error) if error.value in _GONE else ""
    if not memory.total:
        return None, None, True, ""
    return int(memory.total), int(memory.free), False, ""


def _with_memory_of_host(gpu: Gpu, total: int, available: int) -> Gpu:
    return structs.replace(gpu, memory_total=total, memory_free=available) if gpu.is_unified else gpu


def _asked(question: Callable[..., T], *arguments: Any) -> T | None:
    """What the driver answers, or None: it can't say."""
    try:
        return question(*arguments)
    except nvml.NVMLError:
        return None


def _text(question: Callable[..., str | bytes], handle: Any) -> str:
    answer = _asked(question, handle) or ""
    return answer.decode(errors="replace") if isinstance(answer, bytes) else answer


def _explained(error: Any) -> str:
    """An error of NVML in words."""
    if error.value in _NO_DRIVER:
        return "there is no NVIDIA driver on this host"
    if error.value == nvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH:
        return "the NVIDIA driver was updated and does not fit the one in the kernel: restart the host"
    return f"the NVIDIA driver says: {error}"
