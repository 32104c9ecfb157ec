"""What the core relies on in any engine, tried on each of them."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.conformance.bench import Recorder, checked, members, run, started, submit, within_bound
from tests.conformance.engine_cases import CASES, EngineCase

from stoker_daemon.jobs.records import EngineFailure
from stoker_daemon.ports import Engine
from stoker_protocol.errors import ErrorCode, Refused

pytestmark = pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())


def test_facts(case: EngineCase, tmp_path: Path) -> None:
    """An engine is not ready before it began, and then knows its models, parameters and batch size."""

    async def scenario() -> None:
        engine = case.make(tmp_path)
        assert engine.facts().state != "ready"
        async with started(engine):
            facts = engine.facts()
            assert (facts.name, facts.state, facts.detail) == (engine.name, "ready", "")
            offered = facts.models if case.chosen_by == "model" else engine.recipes()
            assert facts.default_model == (case.models[0] if case.chosen_by == "model" else "")
            assert set(case.models) <= {each.name for each in offered}
            assert case.bad_name in {parameter.name for parameter in facts.parameters}
            assert facts.max_batch >= 1
        assert engine.facts().state != "ready"

    asyncio.run(scenario())


def test_place(case: EngineCase, tmp_path: Path) -> None:
    """A job without a model gets the default one, and jobs of two models never share a run."""

    async def scenario() -> None:
        async with started(case.make(tmp_path)) as engine:
            placement = engine.place(submit(case.good))
            assert placement == engine.place(submit(case.good, **case.choose(case.models[0])))
            assert placement.signature.engine == engine.name
            other = engine.place(submit(case.good, **case.choose(case.models[1])))
            assert [getattr(each, case.chosen_by) for each in (placement, other)] == list(case.models)
            assert other.signature.residency != placement.signature.residency

    asyncio.run(scenario())


def test_place_refuses_an_unknown_model(case: EngineCase, tmp_path: Path) -> None:
    """An unknown model is refused by name, with those that there are, or the one that was meant."""

    async def scenario() -> None:
        async with started(case.make(tmp_path)) as engine:
            with pytest.raises(Refused, match="xyzzy") as unlike:
                engine.place(submit(case.good, **case.choose("xyzzy")))
            assert (unlike.value.code, unlike.value.field) == (ErrorCode.BAD_REQUEST, case.chosen_by)
            assert case.models[1] in unlike.value.hint
            with pytest.raises(Refused) as alike:
                engine.place(submit(case.good, **case.choose(case.models[1] + "x")))
            assert alike.value.hint.startswith("did you mean")
            assert case.models[1] in alike.value.hint

    asyncio.run(scenario())


def test_check(case: EngineCase, tmp_path: Path) -> None:
    """Good parameters pass and a bad one is refused by the place where it stands."""

    async def scenario() -> None:
        async with started(case.make(tmp_path)) as engine:
            await within_bound(checked(engine, submit(case.good, case.failing, case.held(tmp_path))))
            await within_bound(checked(engine, submit(None, None, params=case.good)))
            with pytest.raises(Refused) as of_item:
                await within_bound(checked(engine, submit(case.good, case.bad)))
            assert of_item.value.field == f"items[1].params.{case.bad_name}"
            assert of_item.value.hint
            with pytest.raises(Refused) as of_job:
                await within_bound(checked(engine, submit(case.good, params=case.bad)))
            assert of_job.value.field == f"params.{case.bad_name}"

    asyncio.run(scenario())


def test_load(case: EngineCase, tmp_path: Path) -> None:
    """A model loads, costs nothing while it stays, and makes room for another."""

    async def scenario() -> None:
        async with started(case.make(tmp_path)) as engine:
            seconds = [await within_bound(engine.load(case.models[n])) for n in (0, 0, 1)]
            assert [each > 0 for each in seconds] == [case.loads_when_told, False, case.loads_when_told]
            if case.loads_when_told:
                with pytest.raises(EngineFailure):
                    await within_bound(engine.load("xyzzy"))
            assert (await run(engine, case.good, **case.choose(case.models[1]))).positions == [0]

    asyncio.run(scenario())


def test_unload(case: EngineCase, tmp_path: Path) -> None:
    """An engine tells which model it holds, gives that one back when asked to and no other, and goes on afterwards."""

    async def scenario() -> None:
        engine = case.make(tmp_path)
        await within_bound(engine.unload(""))
        async with started(engine):
            assert engine.residents() == []
            for unloaded in (case.models[1], ""):
                await run(engine, case.good, **case.choose(case.models[1]))
                held = [case.models[1]] if case.tells_residents else []
                assert [resident.residency for resident in engine.residents()] == held
                await within_bound(engine.unload("another"))
                assert [resident.residency for resident in engine.residents()] == held
                await within_bound(engine.unload(unloaded))
                await within_bound(engine.unload(unloaded))
                assert engine.residents() == []
            assert (await within_bound(engine.load(case.models[1])) > 0) is case.loads_when_told
        assert engine.residents() == []

    asyncio.run(scenario())


def test_run(case: EngineCase, tmp_path: Path) -> None:
    """There is one output for each item, at its own position, and progress never exceeds its bound."""

    async def scenario() -> None:
        async with started(case.make(tmp_path)) as engine:
            batch = [case.good] * min(3, engine.facts().max_batch)
            recorder = await run(engine, *batch)
            assert sorted(recorder.positions) == list(range(len(batch)))
            assert all(output.data and output.suffix.startswith(".") for output in recorder.outputs)
            assert recorder.failures == []
            assert recorder.progress
            assert all(0 <= step <= steps for _, step, steps in recorder.progress)

    asyncio.run(scenario())


def test_failing_item(case: EngineCase, tmp_path: Path) -> None:
    """An item which fails by itself is told as such and costs the others nothing."""

    async def scenario() -> None:
        async with started(case.make(tmp_path)) as engine:
            if engine.facts().max_batch >= 3:
                recorder = await run(engine, case.good, case.failing, case.good)
                assert sorted(recorder.positions) == [0, 2]
                assert [position for position, _, _ in recorder.failures] == [1]
            alone = await run(engine, case.failing)
            assert (alone.positions, len(alone.failures)) == ([], 1)

    asyncio.run(scenario())


def test_interrupt(case: EngineCase, tmp_path: Path) -> None:
    """An interrupted run ends as such and the next one is untouched; other interrupts do nothing."""

    async def scenario() -> None:
        async with started(case.make(tmp_path)) as engine:
            await within_bound(engine.interrupt("nothing runs"))
            task, _ = await _hold(engine, case.held(tmp_path))
            await within_bound(engine.interrupt("another"))
            await within_bound(engine.interrupt("held"))
            assert await within_bound(task) is False
            await within_bound(engine.interrupt("held"))
            assert (await run(engine, case.good)).positions == [0]

    asyncio.run(scenario())


@pytest.mark.parametrize("force", [False, True], ids=["polite", "force"])
def test_terminate(case: EngineCase, tmp_path: Path, *, force: bool) -> None:
    """Ending the engine's process fails the run at work, and the next load begins anew.

    A server that is not ours is asked to stop the run instead, and by force the run is given up. A command that
    ends leaves its engine as it is.
    """

    async def scenario() -> None:
        async with started(case.make(tmp_path)) as engine:
            task, _ = await _hold(engine, case.held(tmp_path))
            await within_bound(engine.terminate(force=force))
            if case.owns_process or (force and case.dies_by_force):
                with pytest.raises(EngineFailure) as failure:
                    await within_bound(task)
                assert failure.value.died
            else:
                assert await within_bound(task) is False
            assert engine.facts().state == ("down" if case.owns_process else "ready")
            assert (await run(engine, case.good)).positions == [0]
            assert engine.facts().state == "ready"

    asyncio.run(scenario())


def test_terminate_when_idle(case: EngineCase, tmp_path: Path) -> None:
    """Ending an idle engine, or one that never began, is harmless."""

    async def scenario() -> None:
        engine = case.make(tmp_path)
        await within_bound(engine.terminate(force=False))
        async with started(engine):
            for force in (False, True):
                await within_bound(engine.terminate(force=force))
                assert (await run(engine, case.good)).positions == [0]

    asyncio.run(scenario())


def test_cancelled_run(case: EngineCase, tmp_path: Path) -> None:
    """A run whose caller gave up goes no further and tells nothing to the next one."""

    async def scenario() -> None:
        async with started(case.make(tmp_path)) as engine:
            task, given_up = await _hold(engine, case.held(tmp_path))
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await within_bound(task)
            recorder = await run(engine, case.good, run_id="next", **case.choose(case.models[1]))
            assert recorder.positions == [0]
            assert given_up.positions == []

    asyncio.run(scenario())


def test_stop_in_the_middle_of_a_run(case: EngineCase, tmp_path: Path) -> None:
    """Stopping ends the run at work, may be repeated, and lets the engine begin again."""

    async def scenario() -> None:
        async with started(case.make(tmp_path)) as engine:
            task, _ = await _hold(engine, case.held(tmp_path))
            await within_bound(engine.stop())
            with pytest.raises(EngineFailure):
                await within_bound(task)
            await within_bound(engine.stop())
            await within_bound(engine.start())
            assert (await run(engine, case.good)).positions == [0]

    asyncio.run(scenario())


async def _hold(engine: Engine, held: Mapping[str, Any]) -> tuple["asyncio.Task[bool]", Recorder]:
    """A run that has begun and does not end by itself."""
    recorder = Recorder()
    await within_bound(engine.load(""))
    template = engine.place(submit(held)).template
    task = asyncio.create_task(engine.run("held", members(held, template=template), recorder))
    await within_bound(recorder.moved.wait())
    return task, recorder
