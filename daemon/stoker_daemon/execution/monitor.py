"""Watches the GPUs and the host: looks from time to time, remembers some minutes, and tells who listens."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from stoker_daemon.ports import Announce, Clock, GpuProbe
from stoker_protocol.events import GPU_TOPIC, GpuSampled
from stoker_protocol.gpus import Gpu, History, Sample

KEPT_S = 300.0
"""How far back the history goes."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Choice:
    """Which GPU is the executor's: an index, the beginning of a UUID, or "": the first that is well."""

    said: str = ""

    def among(self, gpus: list[Gpu]) -> int | None:
        """Its place among these, None: it is not there."""
        found = [place for place, gpu in enumerate(gpus) if self._means(gpu)]
        return min(found, key=lambda place: (bool(gpus[place].trouble), place), default=None)

    def _means(self, gpu: Gpu) -> bool:
        return self.said in ("", str(gpu.index)) or (len(self.said) > 3 and gpu.uuid.startswith(self.said))


class Monitor:
    """One task; `look` may be called beside it by who needs to know at once."""

    def __init__(self, probe: GpuProbe, announce: Announce, clock: Clock, choice: Choice, every_s: float) -> None:
        self.every_s = every_s
        self._probe = probe
        self._announce = announce
        self._clock = clock
        self._choice = choice
        self._latest: Sample | None = None
        self._kept: deque[Sample] = deque(maxlen=max(2, round(KEPT_S / every_s)))
        self._listeners: list[Callable[[], None]] = []

    def subscribe(self, listener: Callable[[], None]) -> None:
        """Call the listener after each look."""
        self._listeners.append(listener)

    async def serve(self) -> None:
        """Look until cancelled."""
        while True:
            sample = await self.look()
            if sample is not None:
                self._kept.append(sample)
                self._announce(GPU_TOPIC + "gpu_sampled", GpuSampled(at_ms=sample.at_ms, sample=sample))
            await asyncio.sleep(self.every_s)

    async def look(self) -> Sample | None:
        """How all is now; None: even the host can't be looked at."""
        try:
            sample = await self._probe.look()
        except OSError as error:
            log.warning("the host can't be looked at", why=str(error))
            return None
        self._tell_changes(sample)
        self._latest = sample
        for listener in self._listeners:
            listener()
        return sample

    def latest(self) -> Sample | None:
        return self._latest

    def executor(self) -> int | None:
        return self._choice.among(self._latest.gpus) if self._latest else None

    @property
    def gpu(self) -> Gpu | None:
        """The executor's GPU as it was last."""
        place = self.executor()
        return None if self._latest is None or place is None else self._latest.gpus[place]

    def history(self) -> list[History]:
        there = dict.fromkeys(gpu.uuid for sample in self._kept for gpu in sample.gpus)
        return [_history(uuid, self._kept) for uuid in there]

    def _tell_changes(self, sample: Sample) -> None:
        """GPUs that come and go, and the reason why there are none, are worth a line in the log."""
        before = self._latest
        if before is None or [(gpu.uuid, gpu.trouble) for gpu in before.gpus] != [
            (gpu.uuid, gpu.trouble) for gpu in sample.gpus
        ]:
            for gpu in sample.gpus:
                log.info("a GPU is there", index=gpu.index, name=gpu.name, uuid=gpu.uuid, trouble=gpu.trouble)
        if sample.trouble and (before is None or before.trouble != sample.trouble):
            log.info("no GPU can be seen", why=sample.trouble)


def _history(uuid: str, samples: "deque[Sample]") -> History:
    seen = [(sample.at_ms, gpu) for sample in samples for gpu in sample.gpus if gpu.uuid == uuid]
    return History(
        uuid=uuid,
        at_ms=[at_ms for at_ms, _ in seen],
        utilisation=[gpu.utilisation for _, gpu in seen],
        memory_used=[gpu.memory_used for _, gpu in seen],
        temperature_c=[gpu.temperature_c for _, gpu in seen],
        power_w=[gpu.power_w for _, gpu in seen],
    )
