"""A simulated card: what holds its memory, in one process, and the engines and strangers that fill it."""

from collections.abc import Callable, Mapping
from typing import Any

from stoker_daemon.jobs.records import EngineFailure, Interrupted, Placement, Resident, Signature
from stoker_daemon.ports import RunObserver
from stoker_protocol import jobs as words
from stoker_protocol.errors import FailureKind
from stoker_protocol.gpus import Gpu, GpuProcess, Host, Sample
from stoker_protocol.requests import Submit

GB = 1 << 30
RESERVED = GB // 2
"""What the driver keeps of the card."""


class Overfull(Exception):
    """More was put on the card than it has: what must never happen by our own doing."""


class Card:
    """`held` is by process id and model, in bytes. `peak` is the most that there was, `swaps` each load and unload."""

    def __init__(self, total_gb: float = 24) -> None:
        self.total = int(total_gb * GB)
        self.held: dict[tuple[int, str], int] = {}
        self.names: dict[int, str] = {}
        self.peak = 0
        self.uuid = "GPU-1"
        self.swaps: list[str] = []

    @property
    def free(self) -> int:
        return self.total - RESERVED - sum(self.held.values())

    def put(self, pid: int, what: str, size: int) -> None:
        """Take memory. Raises Overfull."""
        if size > self.free:
            raise Overfull(f"{what} of {size / GB:.1f} GB, of which {self.free / GB:.1f} GB are free")
        self.held[pid, what] = size
        self.peak = max(self.peak, sum(self.held.values()))

    def take(self, pid: int, what: str) -> None:
        """Give memory back."""
        self.held.pop((pid, what), None)

    async def look(self) -> Sample:
        """The port `GpuProbe`: what NVML would say."""
        pids = dict.fromkeys(pid for pid, _ in self.held)
        processes = [
            GpuProcess(pid, self.names.get(pid, ""), sum(n for (p, _), n in self.held.items() if p == pid))
            for pid in pids
        ]
        gpu = Gpu(0, "simulated", self.uuid, self.total, self.free, processes=processes)
        return Sample(1, [gpu], Host(64 * GB, 32 * GB, 100 * GB, 50 * GB))


class SimulatedEngine:
    """The port `Engine`, as far as memory goes: loads models of `sizes_gb` onto the card, `at_once` at a time.

    `keeps`: it does not give anything back. `tells`: it says what its models hold. `on_card`: else they are in the
    host's memory.
    """

    remembers = False

    def __init__(
        self,
        name: str,
        card: Card,
        pid: int,
        sizes_gb: Mapping[str, float],
        *,
        at_once: int = 1,
        tells: bool = True,
        on_card: bool = True,
    ) -> None:
        self.name = name
        self.keeps = False
        self._card = card
        self._pid = pid
        self._sizes = {model: int(size * GB) for model, size in sizes_gb.items()}
        self._at_once = at_once
        self._tells = tells and on_card
        self._on_card = on_card
        self._loaded: list[str] = []

    def facts(self) -> words.Engine:
        kind = "comfyui" if self.name == "comfyui" else "python"
        return words.Engine(self.name, kind, "ready", "gpu", "", [], [], 8)

    def max_batch(self, _signature: Signature, /) -> int:
        return 8

    def residents(self) -> list[Resident]:
        return [Resident(each, self._sizes[each] if self._tells else None, self._pid) for each in self._loaded]

    async def load(self, residency: str, /) -> float:
        if residency in self._loaded:
            return 0.0
        while len(self._loaded) >= self._at_once:
            self._drop(self._loaded[0])
        if self._on_card:
            self._card.put(self._pid, residency, self._sizes[residency])
        self._loaded.append(residency)
        self._card.swaps.append(f"load {residency}")
        return 1.0

    async def unload(self, residency: str, /) -> None:
        if self.keeps and self._loaded:
            raise EngineFailure(FailureKind.SERVER_ERROR, f"{self.name} was asked to free its memory and does not")
        for model in [each for each in self._loaded if residency in ("", each)]:
            self._drop(model)

    def evict(self) -> None:
        """Throw everything out without having been asked, as Ollama may."""
        for model in list(self._loaded):
            self._drop(model)

    def _drop(self, model: str) -> None:
        self._loaded.remove(model)
        self._card.take(self._pid, model)
        self._card.swaps.append(f"unload {model}")

    # The rest of the port, which no test of memory calls

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    def subscribe(self, listener: Callable[[], None], /) -> None: ...

    def recipes(self) -> list[words.Recipe]:
        return []

    def place(self, request: Submit) -> Placement:
        raise NotImplementedError(request)

    async def check(self, request: Submit, placement: Placement, /) -> None: ...

    async def run(self, run_id: str, members: Any, observer: RunObserver) -> bool:
        raise NotImplementedError(run_id, members, observer)

    async def holds(self, run: Interrupted, /) -> bool:
        raise NotImplementedError(run)

    async def interrupt(self, run_id: str) -> None: ...

    async def terminate(self, *, force: bool) -> None: ...
