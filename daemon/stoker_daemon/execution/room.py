"""Makes room on the GPU before a model loads, and gives back what is loaded when nobody needs it."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import structlog

from stoker_daemon.execution.waiting import wait_at_most
from stoker_daemon.execution.watch import Watch
from stoker_daemon.jobs.records import EngineFailure
from stoker_daemon.ports import Engine
from stoker_daemon.scheduling import ledger
from stoker_daemon.scheduling.ledger import GIB
from stoker_daemon.scheduling.residency import NO_PINS, Key, Pins
from stoker_daemon.scheduling.sizes import Sizes
from stoker_protocol.gpus import Holding

UNLOAD_S = 60.0
"""Engines bound their unloads themselves; this is for one that does not."""
LOOK_S = 0.25
"""Between two looks whether there is room now."""
SETTLED_LOOKS, AGAIN_LOOKS = 12, 120
"""A driver takes a moment to free what was let go: after so many looks somebody is in the way, and all others have to
give way; that is tried again each so many looks, since an engine that kept its memory may do better then.
"""
FILLABLE = 0.95
"""The driver needs a part of each card for itself: nobody waits for more than this."""

MEASURED = frozenset({"comfyui"})
"""Kinds of engines that need the more memory the more items share a run; others see to that themselves."""

log = structlog.get_logger()


class Left(NamedTuple):
    """A model that was unloaded."""

    engine: str
    model: str


async def _ignore(_left: Sequence[Left], _reason: str) -> None:
    """Nobody wants to hear of it."""


@dataclass(slots=True)
class Room:
    """The memory of the GPU as one lane with these engines needs it; models of other lanes are left alone.

    `load_s` tells what a model's return costs; `told` is called when `reason`, why one has to wait, comes or goes.
    `say_left` hears what was unloaded, and why.
    Who has been idle for `idle_unload_s` seconds (0: never) is to give back what is loaded. Models with `pins` stay
    as long as anything else can give way.
    """

    lane: str
    engines: Mapping[str, Engine]
    watch: Watch
    load_s: Callable[[Key], float]
    idle_unload_s: float = 0.0
    pins: Pins = NO_PINS
    told: Callable[[], None] = lambda: None
    say_left: Callable[[Sequence[Left], str], Awaitable[None]] = _ignore
    reason: str = ""
    _measured: Sequence[str] = field(init=False)
    _ready: Key | None = None
    _is_learned: bool = False
    _was_told: bool = False
    _sizes: Sizes = field(default_factory=Sizes)
    _kept: dict[str, str] = field(default_factory=dict[str, str])

    def __post_init__(self) -> None:
        self._measured = [name for name, engine in self.engines.items() if engine.facts().kind in MEASURED]

    async def prepare(self, key: Key, given_up: asyncio.Event) -> list[Left]:
        """Have the models of other engines give way to this one as far as it needs it, and wait until it has room.

        Who can't give way, because it is not ours or does not do as it is told, is waited for, until it is given up.
        What left is returned.
        """
        if not self.engines or (key == self._ready and self._is_still_there(key)):
            return []
        self._ready = None
        await self.watch.monitor.look()
        left = await self._clear(key, self._victims(key))
        left += await self._wait_for_room(key, given_up)
        self._ready, self._is_learned, self._was_told = None if given_up.is_set() else key, False, False
        return left

    async def learn(self, key: Key) -> None:
        """Take note of what a model holds after its first run since it came; the largest that was seen counts."""
        if self._ready != key or self._is_learned or await self.watch.monitor.look() is None:
            return
        self._is_learned, self._was_told = True, bool(self.engines[key.engine].residents())
        mine = [each for each in self._holdings() if each.holder == key.engine and each.bytes]
        named = [each for each in mine if each.what.startswith(key.residency)]
        held = sum(each.bytes or 0 for each in named or mine)
        if held or self._is_elsewhere(key.engine):
            self._sizes.learn(key, held, self._card)

    def learned(self) -> bytes:
        """What was learned of sizes, to be kept."""
        return self._sizes.encoded()

    def recall(self, sizes: bytes) -> None:
        """Know what an earlier one has learned. Raises ValueError: it makes no sense."""
        self._sizes = Sizes.decoded(sizes)

    def free_gb(self) -> dict[str, float]:
        """GB that runs of an engine may need in all, model included: what is free and what this lane's engines hold.

        Only of engines that are measured, and where the driver tells.
        """
        gpu, measured = self.watch.monitor.gpu, self._measured
        if not measured or gpu is None or gpu.memory_free is None:
            return {}
        ours = sum(each.bytes or 0 for each in self._holdings() if each.holder in self.engines)
        return dict.fromkeys(measured, (gpu.memory_free + ours) / GIB)

    async def used_gb(self, engine: str) -> float | None:
        """GB that an engine holds right after a run, which is what the run needed: it keeps what it once took."""
        if engine not in self._measured or await self.watch.monitor.look() is None:
            return None
        held = sum(each.bytes or 0 for each in self._holdings() if each.holder == engine)
        return held / GIB if held else None

    async def release(self, reason: str, *, pinned: bool = True) -> list[Left]:
        """Give back all that this lane's engines hold, `pinned` models too or not."""
        self._ready = None
        left = await self._unload_all([Key(engine, "") for engine in self.engines] if pinned else self._unpinned())
        await self.say_left(left, reason)
        return left

    def rest_left_s(self, idle_s: float) -> float:
        """Seconds until a lane that has been idle for so long is to `release`, if there is anything to."""
        if not self.idle_unload_s or not self._unpinned():
            return float("inf")
        return max(0.0, self.idle_unload_s - idle_s)

    def forget(self) -> None:
        """What was loaded is not any more, as an engine has died: the next run has to be prepared for."""
        self._ready = None

    @property
    def _card(self) -> str:
        gpu = self.watch.monitor.gpu
        return "" if gpu is None else gpu.uuid

    def _is_elsewhere(self, engine: str) -> bool:
        """Whether an engine's own process, which would tell, holds models in the host's memory alone."""
        residents = self.engines[engine].residents()
        return bool(residents) and all(each.pid is not None and each.bytes is None for each in residents)

    def _is_still_there(self, key: Key) -> bool:
        """Not thrown out by its engine since it ran, as far as that one tells."""
        return not self._was_told or bool(self.engines[key.engine].residents())

    def _victims(self, key: Key) -> Sequence[Key]:
        """Who gives way: those whose return costs least; where nobody knows what is needed, all."""
        others = self._others(key)
        gpu, size = self.watch.monitor.gpu, self._sizes.of(key, self._card)
        if not others or size is None or gpu is None or gpu.memory_free is None:
            return [each for each in others if each not in self.pins]
        held = {Key(each.holder, each.what): each.bytes for each in self._holdings() if each.bytes}
        mine = sum(size for holder, size in held.items() if holder.engine == key.engine)
        sizes = {each: held.get(each, 0) for each in others}
        return ledger.victims(key, size, gpu.memory_free + mine, sizes, self.load_s, self.pins)

    async def _clear(self, key: Key, victims: Sequence[Key]) -> list[Left]:
        """Have these give way to a model."""
        left = await self._unload_all(victims)
        await self.say_left(left, f"room for {key.residency or key.engine}")
        return left

    async def _unload_all(self, keys: Sequence[Key]) -> list[Left]:
        return [left for key in keys for left in await self._unload(key)]

    async def _unload(self, key: Key) -> list[Left]:
        engine = self.engines[key.engine]
        before = {resident.residency for resident in engine.residents()}
        if not before:
            return []
        try:
            async with asyncio.timeout(UNLOAD_S):
                await engine.unload(key.residency)
            self._kept.pop(key.engine, None)
        except TimeoutError:
            self._keep(key.engine, f"{key.engine} does not give back its memory within {UNLOAD_S:g} s")
        except EngineFailure as failure:
            self._keep(key.engine, failure.message)
        after = {resident.residency for resident in engine.residents()}
        return [Left(key.engine, model) for model in sorted(before - after)]

    def _keep(self, engine: str, why: str) -> None:
        self._kept[engine] = why
        log.warning("an engine keeps its memory", lane=self.lane, engine=engine, why=why)

    async def _wait_for_room(self, key: Key, given_up: asyncio.Event) -> list[Left]:
        """Until the driver says that there is enough, if it is known what that is."""
        left: list[Left] = []
        looks = 0
        try:
            while (lacking := self._lacking(key)) and not given_up.is_set():
                if looks >= SETTLED_LOOKS:
                    self._say(self._in_the_way(key, lacking))
                    if (looks - SETTLED_LOOKS) % AGAIN_LOOKS == 0:
                        left += await self._clear(key, self._others(key))
                await wait_at_most(given_up, LOOK_S)
                await self.watch.monitor.look()
                looks += 1
        finally:
            self._say("")
        return left

    def _lacking(self, key: Key) -> int:
        """Bytes that the model needs beyond what is free or its own engine's; what no card has, nobody waits for."""
        gpu, size = self.watch.monitor.gpu, self._sizes.of(key, self._card)
        if gpu is None or gpu.memory_free is None or gpu.memory_total is None or size is None:
            return 0
        mine = sum(each.bytes or 0 for each in self._holdings() if each.holder == key.engine)
        return max(0, min(size, int(FILLABLE * gpu.memory_total)) - gpu.memory_free - mine)

    def _in_the_way(self, key: Key, lacking: int) -> str:
        """Why a model waits, in a sentence that names who could make room."""
        others = [each for each in self._holdings() if each.holder != key.engine and (each.bytes or 0) > lacking / 10]
        others = [each for each in others if each.holder != ledger.UNSEEN] or others
        who = [f"{ledger.called(each)} holds {(each.bytes or 0) / GIB:.1f} GiB" for each in others[:3]]
        needs = f"{key.residency or key.engine} needs {lacking / GIB:.1f} GiB more on the GPU"
        return "; ".join([needs, *who, *self._kept.values()])

    def _say(self, reason: str) -> None:
        was, self.reason = self.reason, reason
        if reason and not was:
            log.warning("waits for room on the GPU", lane=self.lane, why=reason)
        if bool(reason) != bool(was):
            self.told()

    def _unpinned(self) -> list[Key]:
        """What engines of this lane hold and need not keep."""
        held = (Key(name, each.residency) for name, engine in self.engines.items() for each in engine.residents())
        return [key for key in held if key not in self.pins]

    def _others(self, key: Key) -> list[Key]:
        """What engines of this lane hold on the GPU beside the one that is to load: that one sees to its own."""
        seen = {(each.holder, each.what) for each in self._holdings() if each.bytes}
        return [
            Key(name, each.residency)
            for name, engine in self.engines.items()
            if name != key.engine
            for each in engine.residents()
            if each.bytes or (name, each.residency) in seen
        ]

    def _holdings(self) -> list[Holding]:
        return self.watch.occupancy.holdings()
