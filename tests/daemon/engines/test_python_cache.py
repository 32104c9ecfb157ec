"""Which models a worker keeps loaded: the arithmetic, and the engine `python` as it goes by it."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.conformance.bench import Recorder, checked, members, run, started, submit, within_bound
from tests.daemon.engines.faults_engine import faults_engine

from stoker_daemon.engines.python.cache import ModelCache
from stoker_daemon.engines.python.offers import Offers
from stoker_daemon.jobs.records import EngineFailure, Resident
from stoker_daemon.scheduling.residency import Key, Pins
from stoker_protocol.errors import FailureKind, Refused
from stoker_protocol.jobs import ModelFacts, Parameter
from stoker_protocol.worker import Holding, Hosted, ModelFamily

FAULTS = "tests.models.faults:Faults"
GB = 10**9


def cache(budget_gb: float | None, *, most: int = 0, pins: Sequence[str] = (), **sizes_gb: float) -> ModelCache:
    """A cache with these models loaded, one after the other."""
    pinned = Pins(frozenset(Key("mine", pin) for pin in pins))
    made = ModelCache("mine", None if budget_gb is None else int(budget_gb * GB), most, pinned)
    made.hold([Holding(model, int(size * GB)) for model, size in sizes_gb.items()])
    return made


def test_without_a_budget_there_is_one_model() -> None:
    """Each model gives way to the next, however small they are."""
    assert cache(None, a=0.1).victims("b") == ("a",)
    assert cache(None).victims("b") == ()


def test_a_number_of_models() -> None:
    """As many models stay as were asked for, within the budget if there is one."""
    assert cache(None, most=3, a=1, b=1).victims("c") == ()
    assert len(cache(None, most=2, a=1, b=1).victims("c")) == 1
    assert len(cache(10, most=2, a=1, b=1).victims("c")) == 2  # which nobody has measured
    small = cache(10, most=2, a=1, b=1)
    small.expect({"c": GB})
    assert len(small.victims("c")) == 1


def test_what_is_pinned_gives_way_last() -> None:
    """A pinned model stays beside one more, and goes only where nothing else can make room."""
    assert cache(None, pins=["a"], a=1).victims("b") == ()
    assert cache(None, pins=["a"], a=1, b=1).victims("c") == ("b",)
    assert cache(None, most=2, pins=["b"], a=1, b=1).victims("c") == ("a",)
    tight = cache(10, pins=["a"], a=4, b=4)
    tight.expect({"c": 4 * GB, "d": 9 * GB})
    assert tight.victims("c") == ("b",)
    assert set(tight.victims("d")) == {"a", "b"}


def test_what_fits_stays() -> None:
    """Nothing gives way to a model of a known size that fits beside it."""
    made = cache(10, a=4, b=3)
    made.expect({"c": 3 * GB, "d": 4 * GB})
    assert made.victims("c") == ()
    assert len(made.victims("d")) == 1


def test_model_of_unknown_size_may_need_all() -> None:
    """All give way to a model that nobody knows, and only then is it measured."""
    made = cache(10, a=4, b=3)
    assert set(made.victims("c")) == {"a", "b"}
    made.hold([Holding("c", 2 * GB)])
    made.hold([Holding("a", 4 * GB), Holding("b", 3 * GB)])
    assert made.victims("c") == ()


def test_the_cheapest_return_goes_first_and_not_the_oldest() -> None:
    """Of models that are asked for alike, the one goes whose reload costs least for each byte that it frees."""
    made = cache(10, slow=4, quick=4)
    made.expect({"c": 4 * GB})
    for model, seconds in (("slow", 60.0), ("quick", 2.0)):
        made.note_load(model, seconds)
        made.note_use(model)
    assert made.models == ("slow", "quick")
    assert made.victims("c") == ("quick",)


def test_what_nobody_asks_for_goes_before_what_is_in_demand() -> None:
    """A model that was used once goes before one of the same cost that is used again and again."""
    made = cache(10, rare=4, busy=4)
    made.expect({"c": 4 * GB})
    for model in ("busy",) * 9 + ("rare",):
        made.note_use(model)
    for model in ("rare", "busy"):
        made.note_load(model, 5.0)
    assert made.models[-1] == "rare"
    assert made.victims("c") == ("rare",)


def test_measured_counts_for_more_than_expected() -> None:
    """What a model said that it would hold is forgotten once it was measured."""
    made = cache(10, a=6)
    made.expect({"a": 1 * GB, "b": 5 * GB})
    assert made.victims("b") == ("a",)


def test_only_what_is_on_a_gpu_counts_there() -> None:
    """The bytes of a model are told if they are on a GPU, and else only that it is there."""
    made = cache(10)
    made.hold([Holding("a", 2 * GB, on_gpu=True), Holding("b", 3 * GB)])
    assert made.residents(7) == [Resident("a", 2 * GB, 7), Resident("b", None, 7)]
    assert made.victims("c") == ("a", "b")


def test_models_stay_within_the_budget(tmp_path: Path) -> None:
    """Of three models two fit: the first loads are three, then only what had to go is loaded again."""
    log = tmp_path / "log"
    options = {"log": str(log), "hold_mb": 32}
    classes = [Hosted(FAULTS, {**options, "bytes": {"one": 32 << 20}}, name) for name in ("a", "b", "c")]

    async def scenario() -> None:
        async with started(faults_engine(tmp_path, classes=classes, cache_mb=80)) as engine:
            for model in ("a", "b", "a", "b", "a"):
                assert (await run(engine, {"prompt": model}, model=model)).outputs[0].record["model"] == model
            assert log.read_text().split() == ["load", "a", "load", "b"]
            assert [resident.residency for resident in engine.residents()] == ["b", "a"]
            assert await within_bound(engine.load("c")) > 0
            assert len(engine.residents()) == 2
            assert log.read_text().splitlines()[2:4][1] == "load c"
            assert await within_bound(engine.load("c")) == 0
            await within_bound(engine.unload("c"))
            assert len(engine.residents()) == 1
            await within_bound(engine.unload(""))
            assert engine.residents() == []

    asyncio.run(scenario())


def test_model_that_holds_more_than_it_said(tmp_path: Path) -> None:
    """A model that turns out larger than expected is kept, and others go until the rest fits."""
    classes = [Hosted(FAULTS, {"hold_mb": 32, "bytes": {"one": 1 << 20}}, name) for name in ("a", "b")]

    async def scenario() -> None:
        async with started(faults_engine(tmp_path, classes=classes, cache_mb=50)) as engine:
            await run(engine, {"prompt": "x"}, model="a")
            assert (await run(engine, {"prompt": "x"}, model="b")).positions == [0]
            assert [resident.residency for resident in engine.residents()] == ["b"]

    asyncio.run(scenario())


def test_load_that_runs_out_of_memory_gets_the_room_of_all_others(tmp_path: Path) -> None:
    """A model that does not fit beside another for want of memory is loaded alone."""
    classes = [Hosted(FAULTS, {"hold_mb": 200, "bytes": {"one": 1 << 20}}, name) for name in ("a", "b")]

    async def scenario() -> None:
        async with started(faults_engine(tmp_path, classes=classes, cache_mb=4000, memory_limit_mb=400)) as engine:
            for model in ("a", "b", "a"):
                assert (await run(engine, {"prompt": "x"}, model=model)).positions == [0]
                assert [resident.residency for resident in engine.residents()] == [model]

    asyncio.run(scenario())


@pytest.mark.parametrize(("do", "died"), [("eat", False), ("eat_and_abort", True)])
def test_run_that_runs_out_of_memory(tmp_path: Path, do: str, *, died: bool) -> None:
    """Such a run fails as `oom` whether or not its worker bears it, and other models give their room for the next."""
    classes = [Hosted(FAULTS, {"hold_mb": 20, "bytes": {"one": 20 << 20}}, name) for name in ("a", "b")]

    async def scenario() -> None:
        async with started(faults_engine(tmp_path, classes=classes, cache_mb=4000, memory_limit_mb=300)) as engine:
            await run(engine, {"prompt": "x"}, model="b")
            await run(engine, {"prompt": "x"}, model="a")
            assert [resident.residency for resident in engine.residents()] == ["b", "a"]
            with pytest.raises(EngineFailure) as failure:
                await within_bound(engine.run("run", members({"prompt": "x", "do": do}), Recorder()))
            assert (failure.value.kind, failure.value.died) == (FailureKind.OOM, died)
            assert [resident.residency for resident in engine.residents()] == ([] if died else ["a"])
            assert (await run(engine, {"prompt": "next"}, model="a")).positions == [0]

    asyncio.run(scenario())


def test_items_are_checked_by_what_their_model_takes(tmp_path: Path) -> None:
    """Models of one engine have parameters of their own, and a form shows those of all."""
    classes = [Hosted(FAULTS, name="echo"), Hosted("sprites", {"load_s": 0}, "classic")]

    async def scenario() -> None:
        async with started(faults_engine(tmp_path, classes=classes)) as engine:
            await checked(engine, submit({"prompt": "cat", "do": "echo"}, model="echo"))
            await checked(engine, submit({"prompt": "cat", "width": 32}, model="classic"))
            for model, wrong in (("classic", "do"), ("echo", "width")):
                with pytest.raises(Refused) as refusal:
                    await checked(engine, submit({"prompt": "cat", wrong: 32}, model=model))
                assert refusal.value.field == f"items[0].params.{wrong}"
            facts = engine.facts()
            assert ([model.name for model in facts.models], facts.default_model) == (["echo", "classic"], "echo")
            assert {"do", "width"} <= {parameter.name for parameter in facts.parameters}
            assert facts.max_batch == 64

    asyncio.run(scenario())


def test_parameters_of_all_models() -> None:
    """What only some models require is not required of all."""
    families = [
        ModelFamily(name, [ModelFacts(name)], [Parameter(each, "string", required=True) for each in takes], 1)
        for name, takes in (("a", ("prompt", "style")), ("b", ("prompt",)))
    ]
    assert [(each.name, each.required) for each in Offers(families).parameters] == [("prompt", True), ("style", False)]
    assert [each.name for each in Offers(families).parameters_of("b")] == ["prompt"]
