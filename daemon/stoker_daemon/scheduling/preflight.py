"""Go or no-go: what of the GPU and the host must be well before a run begins."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from stoker_daemon.scheduling.ledger import GIB, UNSEEN, called
from stoker_protocol.gpus import Gpu, Holding, Sample
from stoker_protocol.replies import Finding

MEMORY_GB, MEMORY_SHARE = 4.0, 1 / 16
"""So much memory must be available, but on a small host no more than this share of it."""
DISK_GB, SMALL_DISK_GB = 1.0, 20.0
"""So much of the disk must be free, unless it is a small one, which may be meant to be nearly full."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """When work is held back. GB are 2**30 bytes; None: by the constants above.

    `gpu_percent`: of the GPU's memory, held by others than our engines. `device`: the GPU that was asked for, if any.
    """

    gpu_percent: float = 95.0
    memory_gb: float | None = None
    disk_gb: float | None = None
    device: str = ""


def of_gpu(sample: Sample, gpu: Gpu | None, holdings: Sequence[Holding], limits: Thresholds) -> list[Finding]:
    """What lanes wait for that compute on this host: its GPU, if it has one, and its memory."""
    return [_gpu(sample, gpu, holdings, limits), _memory(sample, limits)]


def of_disk(sample: Sample, limits: Thresholds) -> Finding:
    """What every lane waits for, since all leave outputs."""
    free, total = sample.host.disk_free, sample.host.disk_total
    usual_gb = DISK_GB if total >= SMALL_DISK_GB * GIB else 0.0
    needed = int((usual_gb if limits.disk_gb is None else limits.disk_gb) * GIB)
    facts = f"{_gib(free)} of {_gib(total)} are free"
    if free >= needed:
        return Finding("disk space", ok=True, detail=facts)
    advice = "make room, for instance with `stoker outputs clean --older-than 30d`"
    return Finding("disk space", ok=False, detail=f"{facts}, and work waits for {_gib(needed)}: {advice}")


def reason(findings: Sequence[Finding]) -> str:
    """Why work is held back, or "": it is not."""
    return "; ".join(f"{finding.part}: {finding.detail}" for finding in findings if not finding.ok)


def _gpu(sample: Sample, gpu: Gpu | None, holdings: Sequence[Holding], limits: Thresholds) -> Finding:
    if gpu is None:
        if limits.device and not sample.trouble:
            there = ", ".join(f"{one.index} ({one.name})" for one in sample.gpus) or "none"
            detail = f"there is no GPU {limits.device!r} here, only {there}: correct [gpu] device in the configuration"
            return Finding("GPU", ok=False, detail=detail)
        return Finding("GPU", ok=not limits.device, detail=f"none can be seen: {sample.trouble or 'there is none'}")
    if gpu.trouble:
        return Finding("GPU", ok=False, detail=f"{gpu.name}: {gpu.trouble}")
    if gpu.is_unified or not gpu.memory_total or gpu.memory_used is None:
        return Finding("GPU", ok=True, detail=gpu.name)
    others = max(0, gpu.memory_used - sum(h.bytes or 0 for h in holdings if _is_ours(h)))
    facts = f"{gpu.name}: others hold {_gib(others)} of {_gib(gpu.memory_total)}"
    if 100 * others / gpu.memory_total <= limits.gpu_percent:
        return Finding("GPU", ok=True, detail=facts)
    who = ", ".join(_who(holdings)) or "no process is shown for it"
    return Finding(
        "GPU", ok=False, detail=f"{facts}, and work waits while it is more than {limits.gpu_percent:g} %: {who}"
    )


def _memory(sample: Sample, limits: Thresholds) -> Finding:
    available, total = sample.host.memory_available, sample.host.memory_total
    usual = min(MEMORY_GB * GIB, MEMORY_SHARE * total)
    needed = int(usual if limits.memory_gb is None else limits.memory_gb * GIB)
    facts = f"{_gib(available)} of {_gib(total)} are available"
    if available >= needed:
        return Finding("memory", ok=True, detail=facts)
    return Finding("memory", ok=False, detail=f"{facts}, and work waits for {_gib(needed)}: close what takes the rest")


def _is_ours(holding: Holding) -> bool:
    return not holding.is_stranger and holding.holder != UNSEEN


def _who(holdings: Sequence[Holding]) -> Iterator[str]:
    """Those who are in the way, as a person can find them."""
    for holding in holdings:
        if holding.is_stranger:
            yield f"{called(holding)} holds {_gib(holding.bytes)}" if holding.bytes else called(holding)


def _gib(count: int) -> str:
    return f"{count / GIB:.1f} GiB"
