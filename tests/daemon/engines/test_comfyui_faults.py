"""What goes wrong between the ComfyUI engine and its server, and that no prompt is lost or made twice by it."""

import asyncio
from pathlib import Path

import pytest
from tests.conformance import comfyui_case
from tests.conformance.bench import Recorder, until, within_bound
from tests.daemon.engines.comfyui_bench import ITEM, at_work, cut_short, run_items, tried
from tests.fakes.comfyui.harness import ComfyProcess

from stoker_daemon.jobs.records import EngineFailure
from stoker_protocol.errors import FailureKind


def test_a_reply_that_is_lost(server: ComfyProcess, tmp_path: Path) -> None:
    """A prompt whose reply is lost is found at the server and not sent again."""

    async def scenario() -> None:
        async with at_work(server, tmp_path) as engine:
            server.defects(post_lost_reply=1)
            recorder = Recorder()
            assert await within_bound(run_items(engine, recorder, ITEM, ITEM)) is True
            assert sorted(recorder.positions) == [0, 1]
            assert len(server.executions()) == 2

    tried(scenario)


def test_a_prompt_that_does_not_get_there(server: ComfyProcess, tmp_path: Path) -> None:
    """A prompt that the server never saw is sent again, once it is sure of that."""

    async def scenario() -> None:
        async with at_work(server, tmp_path) as engine:
            server.defects(post_refused_then_ok=1)
            recorder = Recorder()
            assert await within_bound(run_items(engine, recorder, ITEM)) is True
            assert recorder.positions == [0]
            assert len(server.executions()) == 1

    tried(scenario)


def test_a_frozen_stream(server: ComfyProcess, tmp_path: Path) -> None:
    """Without a word on the stream all is found out by asking."""

    async def scenario() -> None:
        async with at_work(server, tmp_path) as engine:
            server.defects(stream_frozen=True)
            recorder = Recorder()
            assert await within_bound(run_items(engine, recorder, ITEM, ITEM, ITEM)) is True
            assert sorted(recorder.positions) == [0, 1, 2]
            assert len(server.executions()) == 3

    tried(scenario)


def test_a_late_history(server: ComfyProcess, tmp_path: Path) -> None:
    """An entry that comes to the history only after the success was told is waited for."""

    async def scenario() -> None:
        async with at_work(server, tmp_path) as engine:
            server.defects(history_gap_s=0.3)
            recorder = Recorder()
            assert await within_bound(run_items(engine, recorder, ITEM)) is True
            assert recorder.positions == [0]

    tried(scenario)


@pytest.mark.parametrize("defect", ["view_truncated", "view_corrupt", "view_500"])
def test_an_output_that_comes_damaged(server: ComfyProcess, tmp_path: Path, defect: str) -> None:
    """A damaged output is asked for again; one that never comes whole fails its item, not the others."""

    async def scenario() -> None:
        async with at_work(server, tmp_path) as engine:
            server.defects(**{defect: 1})
            recorder = Recorder()
            assert await within_bound(run_items(engine, recorder, ITEM)) is True
            assert (recorder.positions, recorder.failures) == ([0], [])
            server.defects(**{defect: -1})
            assert await within_bound(run_items(engine, recorder, ITEM, run_id="never")) is True
            assert [(position, kind) for position, kind, _ in recorder.failures] == [(0, FailureKind.SERVER_ERROR)]

    tried(scenario)


def test_a_server_that_dies_in_a_run(server: ComfyProcess, tmp_path: Path) -> None:
    """A server that comes back without its queue has lost the prompt at work, and goes on with the others."""

    async def scenario() -> None:
        async with at_work(server, tmp_path) as engine:
            recorder = Recorder()
            task = asyncio.create_task(run_items(engine, recorder, {**ITEM, "seconds": -1.0}, ITEM, ITEM))
            await within_bound(recorder.moved.wait())
            await asyncio.to_thread(server.restart)
            assert await within_bound(task) is True
            lost = {position for position, kind, _ in recorder.failures if kind == FailureKind.LOST}
            assert 0 in lost
            assert sorted({*recorder.positions, *lost}) == [0, 1, 2]

    tried(scenario)


def test_a_server_that_is_away(server: ComfyProcess, tmp_path: Path) -> None:
    """A run that finds nobody there has not begun; one whose server goes may go on without us."""

    async def scenario() -> None:
        async with at_work(server, tmp_path) as engine:
            recorder = Recorder()
            task = asyncio.create_task(run_items(engine, recorder, {**ITEM, "seconds": -1.0}))
            await within_bound(recorder.moved.wait())
            server.kill()
            with pytest.raises(EngineFailure) as left:
                await within_bound(task)
            assert (left.value.unavailable, left.value.adrift) == (True, True)
            with pytest.raises(EngineFailure) as absent:
                await within_bound(run_items(engine, recorder, ITEM, run_id="next"))
            assert (absent.value.unavailable, absent.value.adrift) == (True, False)
            await until(lambda: engine.facts().state == "down")
            server.start()
            await until(lambda: engine.facts().state == "ready")
            assert await engine.holds(cut_short("run", [ITEM])) is False

    tried(scenario)


def test_what_finished_while_nobody_looked(server: ComfyProcess, tmp_path: Path) -> None:
    """A run that another daemon began is taken up: its results are adopted, and nothing is made twice."""

    async def scenario() -> None:
        items = [ITEM, {"prompt": "y"}]
        async with at_work(server, tmp_path / "a") as engine:
            first = Recorder()
            assert await within_bound(run_items(engine, first, *items)) is True
        async with at_work(server, tmp_path / "b") as engine:
            assert await within_bound(engine.holds(cut_short("run", items))) is True
            second = Recorder()
            assert await within_bound(run_items(engine, second, *items)) is True
            assert {o.position: o.data for o in second.outputs} == {o.position: o.data for o in first.outputs}
            assert len(server.executions()) == 2

    tried(scenario)


def test_what_is_at_work_while_nobody_looks(server: ComfyProcess, tmp_path: Path) -> None:
    """A prompt that is still at work is followed to its end by who takes the run up."""

    async def scenario() -> None:
        held = {**ITEM, "seconds": -1.0}
        engine = comfyui_case.engine(tmp_path / "a", server.url)
        await within_bound(engine.start())
        first = Recorder()
        task = asyncio.create_task(run_items(engine, first, held))
        await within_bound(first.moved.wait())
        async with at_work(server, tmp_path / "b") as later:
            assert await within_bound(later.holds(cut_short("run", [held]))) is True
            second = Recorder()
            taken_up = asyncio.create_task(run_items(later, second, held))
            await until(lambda: second.progress)
            server.release()
            assert await within_bound(taken_up) is True
            assert await within_bound(task) is True
            assert (second.positions, len(server.executions())) == ([0], 1)
        await within_bound(engine.stop())

    tried(scenario)


def test_a_worker_that_is_dead(server: ComfyProcess, tmp_path: Path) -> None:
    """A server that answers but works on nothing is told from one that is busy, and restarted if there is a command."""

    async def scenario() -> None:
        witness = tmp_path / "restarted"
        async with at_work(server, tmp_path, restart_command=("touch", str(witness))) as engine:
            server.defects(worker_dead=True)
            with pytest.raises(EngineFailure, match="its worker has died") as stuck:
                await within_bound(run_items(engine, Recorder(), ITEM))
            assert (stuck.value.unavailable, stuck.value.adrift) == (True, True)
            assert witness.exists()
            facts = engine.facts()
            assert facts.server is not None
            assert "its worker has died" in facts.server.last_error

    tried(scenario)


def test_an_interrupt_that_is_not_heard(server: ComfyProcess, tmp_path: Path) -> None:
    """A prompt that does not stop is interrupted again until it does."""

    async def scenario() -> None:
        async with at_work(server, tmp_path) as engine:
            recorder = Recorder()
            task = asyncio.create_task(run_items(engine, recorder, {**ITEM, "seconds": -1.0}, ITEM, ITEM))
            await within_bound(recorder.moved.wait())
            server.defects(ignore_interrupt=True)
            await within_bound(engine.interrupt("run"))
            assert not task.done()
            server.defects(ignore_interrupt=False)
            assert await within_bound(task) is False
            assert recorder.positions == []
            assert len(server.executions()) == 1

    tried(scenario)


def test_the_last_rung(server: ComfyProcess, tmp_path: Path) -> None:
    """A prompt that can't be stopped is given up by force, with the restart command if there is one."""

    async def scenario() -> None:
        witness = tmp_path / "restarted"
        async with at_work(server, tmp_path, restart_command=("touch", str(witness))) as engine:
            recorder = Recorder()
            task = asyncio.create_task(run_items(engine, recorder, {**ITEM, "seconds": -1.0}))
            await within_bound(recorder.moved.wait())
            server.defects(ignore_interrupt=True)
            await within_bound(engine.terminate(force=False))
            assert not task.done()
            await within_bound(engine.terminate(force=True))
            with pytest.raises(EngineFailure, match="restarted"):
                await within_bound(task)
            assert witness.exists()

    tried(scenario)
