"""Room on the GPU: who gives way to whom, and what happens when somebody does not."""

import asyncio
import random
from collections.abc import Mapping, Sequence

import pytest
from tests.conformance.bench import until, within_bound
from tests.fakes.card import GB, Card, SimulatedEngine

from stoker_daemon.execution import room as module
from stoker_daemon.execution.room import Left, Room
from stoker_daemon.execution.watch import watch
from stoker_daemon.scheduling.preflight import Thresholds
from stoker_daemon.scheduling.residency import Key, Pins
from stoker_protocol.events import AnyEvent

XL, FLUX = Key("comfyui", "xl"), Key("comfyui", "flux")
SMALL, LARGE, EMBED = Key("llm", "small"), Key("llm", "large"), Key("python", "embed")
CLASSIC = Key("sprites", "classic")
LOAD_S = {CLASSIC: 1.0, XL: 20.0, FLUX: 40.0, SMALL: 5.0, LARGE: 30.0, EMBED: 1.0}
BLENDER = 99


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look often."""
    monkeypatch.setattr(module, "LOOK_S", 0.001)
    monkeypatch.setattr(module, "SETTLED_LOOKS", 3)
    monkeypatch.setattr(module, "AGAIN_LOOKS", 5)


class StillClock:
    """No test here needs time."""

    def now_ms(self) -> int:
        return 0

    def monotonic_s(self) -> float:
        return 0.0


def _ignore(topic: str, event: AnyEvent) -> None:
    """Nobody listens."""


class Bench:
    """A card of 24 GB, three engines of one lane, and their room."""

    def __init__(self, *, tells: bool = True) -> None:
        self.card = Card()
        self.card.names[BLENDER] = "blender"
        self.comfyui = SimulatedEngine("comfyui", self.card, 1, {"xl": 10, "flux": 17}, tells=tells)
        self.llm = SimulatedEngine("llm", self.card, 2, {"small": 5, "large": 14}, tells=tells)
        self.python = SimulatedEngine("python", self.card, 3, {"embed": 1}, at_once=2, tells=tells)
        self.sprites = SimulatedEngine("sprites", self.card, 4, {"classic": 1}, on_card=False)
        self.engines: Mapping[str, SimulatedEngine] = {
            each.name: each for each in (self.comfyui, self.llm, self.python, self.sprites)
        }
        watched = watch(self.card, self.engines, _ignore, StillClock(), every_s=60, limits=Thresholds())
        self.told: list[str] = []
        self.room = Room("gpu", self.engines, watched, LOAD_S.__getitem__)
        self.said: list[tuple[Sequence[Left], str]] = []
        self.room.say_left = self._hear
        self.room.told = lambda: self.told.append(self.room.reason)

    async def _hear(self, left: Sequence[Left], reason: str) -> None:
        self.said += [(left, reason)] if left else []

    async def run(self, *keys: Key) -> list[Left]:
        """What a lane does for a run of each; who left for them."""
        left: list[Left] = []
        for key in keys:
            left += await within_bound(self.room.prepare(key, asyncio.Event()))
            await self.engines[key.engine].load(key.residency)
            await self.room.learn(key)
        return left


@pytest.mark.parametrize("tells", [True, False], ids=["by their word", "by the driver's"])
def test_sizes_are_learned(tells: bool) -> None:
    """We expect all to give way to a model that nobody knows, and only as many as must once it has been seen."""

    async def scenario() -> None:
        bench = Bench(tells=tells)
        assert await bench.run(XL, SMALL, EMBED) == [Left("comfyui", "xl"), Left("llm", "small")]
        assert await bench.run(XL, SMALL) == []
        assert set(bench.card.held) == {(1, "xl"), (2, "small"), (3, "embed")}
        assert await bench.run(LARGE) == [Left("comfyui", "xl"), Left("python", "embed")]  # nobody has seen it yet
        assert await bench.run(XL) == [Left("llm", "large")]
        assert await bench.run(SMALL, XL, SMALL, XL, EMBED, SMALL) == []

    asyncio.run(scenario())


@pytest.mark.parametrize("is_same_card", [True, False])
def test_sizes_are_known_to_the_next_daemon(is_same_card: bool) -> None:
    """We expect no more to give way after a restart than before, and what was seen of another card to say nothing."""

    async def scenario() -> None:
        before, bench = Bench(), Bench()
        await before.run(LARGE, XL, SMALL, EMBED)
        bench.card.uuid = "GPU-1" if is_same_card else "GPU-2"
        bench.room.recall(before.room.learned())
        assert await bench.run(XL, SMALL, EMBED) == (
            [] if is_same_card else [Left("comfyui", "xl"), Left("llm", "small")]
        )
        assert bench.card.peak <= bench.card.total

    asyncio.run(scenario())


def test_what_was_seen_last_time_gives_way_to_what_is_seen() -> None:
    """We expect a model that has become smaller since to count as what it is once it was loaded."""

    async def scenario() -> None:
        before, bench = Bench(), Bench()
        before.room._sizes.learn(LARGE, 20 * GB, "GPU-1")
        bench.room.recall(before.room.learned())
        assert await bench.run(XL, LARGE) == [Left("comfyui", "xl")]
        assert await bench.run(EMBED, LARGE, EMBED, LARGE) == [Left("llm", "large")]

    asyncio.run(scenario())


def test_the_cheapest_return_goes_first() -> None:
    """We expect those to go whose return costs least for each byte, and no more of them than needed."""

    async def scenario() -> None:
        bench = Bench()
        await bench.run(LARGE, SMALL, EMBED, FLUX, XL, EMBED, SMALL)
        bench.card.swaps.clear()
        assert await bench.run(FLUX) == []  # its own engine makes way by itself
        assert await bench.run(LARGE) == [Left("comfyui", "flux")]
        assert bench.card.swaps == ["unload xl", "load flux", "unload flux", "unload small", "load large"]

    asyncio.run(scenario())


def test_a_stranger_delays_with_a_reason() -> None:
    """We expect a model to wait for a card that a stranger fills, to say who that is, and to load when he has gone."""

    async def scenario() -> None:
        bench = Bench()
        await bench.run(LARGE, XL, EMBED)
        bench.comfyui.evict()
        bench.card.put(BLENDER, "scene", 20 * GB)
        running = asyncio.create_task(bench.run(LARGE))
        await until(lambda: bench.room.reason)
        assert bench.said[-1] == ([Left("python", "embed")], "room for large")  # before the wait is over
        assert bench.room.reason == "large needs 10.5 GiB more on the GPU; blender (pid 99) holds 20.0 GiB"
        assert not running.done()
        bench.card.take(BLENDER, "scene")
        await within_bound(running)
        assert (bench.room.reason, len(bench.told)) == ("", 2)
        assert (2, "large") in bench.card.held

    asyncio.run(scenario())


def test_an_engine_that_keeps_its_memory() -> None:
    """We expect a model to wait while ComfyUI does not free what it holds, its words as the reason, and new tries."""

    async def scenario() -> None:
        bench = Bench()
        await bench.run(LARGE, FLUX)
        bench.comfyui.keeps = True
        running = asyncio.create_task(bench.run(LARGE))
        await until(lambda: "comfyui was asked to free its memory and does not" in bench.room.reason)
        assert "comfyui with flux holds 17.0 GiB" in bench.room.reason
        bench.comfyui.keeps = False
        assert await within_bound(running) == [Left("comfyui", "flux")]
        assert bench.room.reason == ""
        assert bench.said[-1] == ([Left("comfyui", "flux")], "room for large")

    asyncio.run(scenario())


def test_an_engine_that_evicts_by_itself() -> None:
    """We expect nothing to wait for what an engine has thrown out of its own accord, and no load beside it to fail."""

    async def scenario() -> None:
        bench = Bench()
        await bench.run(XL, LARGE)
        bench.llm.evict()
        assert await bench.run(XL) == []
        bench.room.forget()
        assert await bench.run(XL, LARGE) == [Left("comfyui", "xl")]

    asyncio.run(scenario())


def test_given_up() -> None:
    """We expect a run that nobody wants any more not to wait for room, and the next one to be prepared for anew."""

    async def scenario() -> None:
        bench = Bench()
        await bench.run(LARGE, EMBED)
        bench.llm.evict()
        bench.card.put(BLENDER, "scene", 20 * GB)
        given_up = asyncio.Event()
        preparing = asyncio.create_task(bench.room.prepare(LARGE, given_up))
        await until(lambda: bench.room.reason)
        given_up.set()
        await within_bound(preparing)
        assert (bench.room.reason, bench.room._ready) == ("", None)

    asyncio.run(scenario())


def test_what_no_card_has_is_not_waited_for() -> None:
    """We expect a model that is larger than the card to be tried all the same: its engine may know what to do."""

    async def scenario() -> None:
        bench = Bench()
        bench.room._sizes.learn(LARGE, 30 * GB, "GPU-1")
        assert await bench.run(XL) == []
        assert await bench.run(LARGE) == [Left("comfyui", "xl")]

    asyncio.run(scenario())


def test_release() -> None:
    """We expect all that the lane holds to be given back, and what is in use by others to stay."""

    async def scenario() -> None:
        bench = Bench()
        await bench.run(XL, EMBED, XL)
        bench.card.put(BLENDER, "scene", GB)
        assert await bench.room.release("pause") == [Left("comfyui", "xl"), Left("python", "embed")]
        assert set(bench.card.held) == {(BLENDER, "scene")}
        assert await bench.room.release("pause") == []
        assert await bench.run(XL) == []

    asyncio.run(scenario())


def test_pinned_models() -> None:
    """We expect a pinned model to stay when an unknown one comes and at rest, and to go where only it can make room."""

    async def scenario() -> None:
        bench = Bench()
        bench.room.pins, bench.room.idle_unload_s = Pins(frozenset({SMALL})), 60.0
        await bench.run(SMALL, EMBED)
        assert await bench.run(XL) == [Left("python", "embed")]  # nobody knows what it needs
        assert set(bench.card.held) == {(1, "xl"), (2, "small")}
        assert bench.room.rest_left_s(0.0) == 60.0
        assert await bench.room.release("idle", pinned=False) == [Left("comfyui", "xl")]
        assert bench.room.rest_left_s(99.0) == float("inf")
        await bench.run(FLUX, XL, SMALL)
        bench.card.put(BLENDER, "scene", 3 * GB)
        assert await bench.run(FLUX) == [Left("llm", "small")]
        assert await bench.room.release("pause") == [Left("comfyui", "flux")]

    asyncio.run(scenario())


def test_a_model_of_the_hosts_memory() -> None:
    """We expect a model that needs no GPU to send nobody away, once that is known, and nobody to send it away."""

    async def scenario() -> None:
        bench = Bench()
        assert await bench.run(CLASSIC, XL) == []
        assert await bench.run(CLASSIC, XL, CLASSIC, LARGE) == [Left("comfyui", "xl")]
        assert await bench.run(CLASSIC, LARGE) == []
        assert await bench.room.release("pause") == [Left("llm", "large"), Left("sprites", "classic")]

    asyncio.run(scenario())


@pytest.mark.parametrize("seed", range(8))
def test_nothing_ever_exceeds_the_card(seed: int) -> None:
    """We expect hundreds of runs of three engines in any order, with strangers now and then, never to overfill it."""

    async def scenario() -> None:
        dice = random.Random(seed)
        bench = Bench(tells=bool(seed % 2))
        await bench.run(*LOAD_S)
        for _ in range(200):
            if dice.random() < 0.2:
                dice.choice([bench.llm, bench.python]).evict()
            if dice.random() < 0.1:
                bench.card.take(BLENDER, "scene")
                bench.card.put(BLENDER, "scene", min(dice.randrange(16) * GB, bench.card.free))
            running = asyncio.create_task(bench.run(dice.choice(list(LOAD_S))))
            await until(lambda running=running: running.done() or bench.room.reason)
            if not running.done():
                bench.card.take(BLENDER, "scene")
            await running
        assert bench.card.peak <= bench.card.total
        assert len([swap for swap in bench.card.swaps if swap.startswith("load")]) < 200

    asyncio.run(scenario())


def test_what_runs_may_need_and_needed() -> None:
    """We expect what is free and what our engines could give back, of ComfyUI alone, and what it holds after a run."""

    async def scenario() -> None:
        bench = Bench()
        await bench.run(XL)
        assert bench.room.free_gb() == {"comfyui": 23.5}
        bench.card.put(BLENDER, "a scene", 6 * GB)
        assert await bench.room.used_gb("comfyui") == 10.0
        assert bench.room.free_gb() == {"comfyui": 17.5}
        assert await bench.room.used_gb("llm") is None

    asyncio.run(scenario())
