"""What an engine says of its ComfyUI server, what it leaves alone there, and that nothing stays when it stops."""

import asyncio
from pathlib import Path

import pytest
from tests.conformance import comfyui_case
from tests.conformance.bench import Recorder, started, submit, until, within_bound
from tests.conformance.comfyui_client import model_graph
from tests.daemon.engines.comfyui_bench import (
    HELD,
    ITEM,
    Graph,
    Stranger,
    at_work,
    held,
    image,
    run_graphs,
    run_items,
    tried,
)
from tests.fakes.comfyui.harness import ComfyProcess

from stoker_daemon.engines.comfyui import ComfyEngine
from stoker_protocol.errors import Refused


def sampling(seed: int) -> Graph:
    """A workflow with a sampler of three steps."""
    graph = model_graph(comfyui_case.CHECKPOINTS[0], steps=3)
    graph["3"]["inputs"]["seed"] = seed
    return graph


def test_facts_of_a_server(server: ComfyProcess, tmp_path: Path) -> None:
    """Version, devices, models and the way of caching are known from the start, the last error once there was one."""

    async def scenario() -> None:
        async with at_work(server, tmp_path) as engine:
            facts = engine.facts()
            assert facts.server is not None
            assert (facts.server.version, facts.server.caching) == ("0.12.1", "results of the last prompt")
            assert [(device.name, device.memory_total > 0) for device in facts.server.devices] == [("cpu", True)]
            assert facts.server.last_error == ""
            assert await within_bound(run_items(engine, Recorder(), {**ITEM, "fits": 0})) is True
            facts = engine.facts()
            assert facts.server is not None
            assert "OutOfMemoryError" in facts.server.last_error

    tried(scenario)


def test_a_default_model_that_is_gone(server: ComfyProcess, tmp_path: Path) -> None:
    """A default model that the server lacks is told to jobs that mean it, and keeps nobody else from working."""

    async def scenario() -> None:
        async with at_work(server, tmp_path, default_model="gone.safetensors") as engine:
            assert engine.facts().default_model == "gone.safetensors"
            with pytest.raises(Refused, match=r"gone\.safetensors"):
                engine.place(submit(ITEM))
            assert engine.place(submit(ITEM, model=comfyui_case.CHECKPOINTS[1])).model == comfyui_case.CHECKPOINTS[1]

    tried(scenario)


def test_a_server_that_comes_back_as_another(tmp_path: Path) -> None:
    """A server that was replaced while it was away is known as what it is now."""

    async def scenario() -> None:
        server = ComfyProcess(tmp_path / "server", version="0.3.64")
        port = int(server.url.rpartition(":")[2])
        try:
            async with at_work(server, tmp_path) as engine:
                server.kill()
                await until(lambda: engine.facts().state == "down")
                assert "does not answer" in engine.facts().detail
                server = ComfyProcess(tmp_path / "server", version="0.33.0", port=port)
                await until(lambda: engine.facts().state == "ready")
                facts = engine.facts()
                assert facts.server is not None
                assert (facts.server.version, facts.detail) == ("0.33.0", "")
                recorder = Recorder()
                assert await within_bound(run_items(engine, recorder, ITEM)) is True
                assert recorder.positions == [0]
        finally:
            server.kill()

    tried(scenario)


@pytest.mark.parametrize("version", ["0.3.64", "0.12.1", "0.33.0"])
def test_prompts_of_others(tmp_path: Path, version: str) -> None:
    """Other people's prompts are counted and never touched; ours waits for them without losing its time."""

    async def scenario() -> None:
        with ComfyProcess(tmp_path / "server", version=version) as server:
            stranger = Stranger(server)
            first = stranger.submit(held())
            server.wait_until_held()
            async with at_work(server, tmp_path) as engine:
                recorder = Recorder()
                task = asyncio.create_task(run_items(engine, recorder, HELD, ITEM))
                await until(lambda: recorder.waits > 1)
                last = stranger.submit()
                await until(lambda: len(stranger.queue()[1]) == 3)
                assert recorder.progress == []
                engine._look_now()  # pyright: ignore[reportPrivateUsage]  # it looks every few seconds by itself
                await until(lambda: (s := engine.facts().server) is not None and (s.ours, s.others) == (2, 2))
                await within_bound(engine.interrupt("run"))
                assert await within_bound(task) is False
                assert stranger.queue() == ([first], [last])
                server.release()
                await until(lambda: stranger.queue() == ([], []))
                assert server.executions() == [first, last]

    tried(scenario)


def test_previews_while_somebody_watches(server: ComfyProcess, tmp_path: Path) -> None:
    """Previews are asked for and passed on as long as somebody watches, even of a server that sends none by itself."""

    async def scenario() -> None:
        async with at_work(server, tmp_path) as engine:
            recorder = Recorder(wants_previews=False)
            assert await within_bound(run_graphs(engine, recorder, sampling(1))) is True
            assert recorder.previews == []
            recorder.wants_previews = True
            assert await within_bound(run_graphs(engine, recorder, sampling(2), run_id="watched")) is True
            assert len(recorder.previews) == 3
            assert all(shown.startswith(b"\xff\xd8\xff") for *_, shown in recorder.previews)

    tried(scenario)


def test_a_stranger_is_not_shown(tmp_path: Path) -> None:
    """What the server broadcasts of a stranger's prompt, which names no client, is taken for nothing of ours."""

    async def scenario() -> None:
        with ComfyProcess(tmp_path / "server", preview_method="latent2rgb") as server:
            stranger = Stranger(server)
            async with at_work(server, tmp_path) as engine:
                recorder = Recorder(wants_previews=True)
                task = asyncio.create_task(run_graphs(engine, recorder, held(), image(1), image(2)))
                await until(lambda: [len(part) for part in stranger.queue()] == [1, 1])
                theirs = stranger.submit(sampling(1))
                server.release()
                assert await within_bound(task) is True
                await until(lambda: stranger.queue() == ([], []))
                assert server.executions()[2] == theirs
                assert recorder.previews == []

    tried(scenario)


@pytest.mark.parametrize("moment", ["new", "idle", "running", "server away", "http frozen"])
def test_stop_leaves_nothing(server: ComfyProcess, tmp_path: Path, moment: str) -> None:
    """Whenever an engine is stopped, no task of it is left, its run ends, and it can begin again."""

    async def scenario() -> None:
        engine = comfyui_case.engine(tmp_path, server.url)
        task: asyncio.Task[bool] | None = None
        if moment != "new":
            await within_bound(engine.start())
            await until(lambda: server.state()["connections"] > 0)
        if moment not in ("new", "idle"):
            recorder = Recorder()
            task = asyncio.create_task(run_items(engine, recorder, HELD, ITEM))
            await within_bound(recorder.moved.wait())
        if moment == "server away":
            server.kill()
        if moment == "http frozen":
            server.defects(http_frozen=True)
        await within_bound(engine.stop())
        if task is not None:
            await within_bound(asyncio.wait([task]))
            assert task.exception() is not None or task.result() is False
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert (engine.facts().state, engine.facts().detail) == ("down", "stopped")
        if moment in ("new", "idle", "running"):
            await _works(engine)

    tried(scenario)


async def _works(engine: ComfyEngine) -> None:
    async with started(engine):
        recorder = Recorder()
        assert await within_bound(run_items(engine, recorder, ITEM, run_id="later")) is True
        assert recorder.positions == [0]
