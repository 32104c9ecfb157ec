"""What a run teaches: who decides what is next, the account of the GPU, and people."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from stoker_daemon.execution.room import Room
from stoker_daemon.execution.supervisor import Ending
from stoker_daemon.execution.work import Work
from stoker_daemon.ports import Clock
from stoker_daemon.scheduling.deciding import Decider
from stoker_daemon.scheduling.residency import Key
from stoker_protocol.events import BatchReduced, LifecycleEvent, ModelLoaded


@dataclass(frozen=True, slots=True)
class Lessons:
    """Those of one lane's runs. `read_ahead` hears of the model that should be loaded next, and returns at once."""

    lane: str
    decider: Decider
    room: Room
    read_ahead: Callable[[Key], None]
    clock: Clock
    tell: Callable[[LifecycleEvent], Awaitable[None]]

    async def learn(self, work: Work, reason: str) -> int:
        """Pass on how a run went, which was chosen for that reason; how many model files were read within it."""
        if work.ending == Ending():
            await self.room.learn(work.key)
        peak_gb = await self.room.used_gb(work.engine.name) if work.went == "well" else None
        reads = work.observer.reads
        if reads is not None and reads.files:
            await self._tell_load(work.key, reads.seconds, reason)
        news = self.decider.ended(work.run, work.seconds, work.went, peak_gb, reads)
        if news:
            engine, model = work.key
            await self.tell(BatchReduced(lane=self.lane, engine=engine, model=model, reason=news))
        if (coming := self.decider.upcoming(self.clock.now_ms())) is not None:
            self.read_ahead(coming)
        return reads.files if reads else 0

    async def _tell_load(self, key: Key, seconds: float, reason: str) -> None:
        seconds = round(seconds, 3)
        await self.tell(
            ModelLoaded(lane=self.lane, engine=key.engine, model=key.residency, seconds=seconds, reason=reason)
        )
