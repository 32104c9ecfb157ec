"""What a ComfyUI server holds on its GPU, on a simulated one: as it says itself, and until it has given it back."""

from pathlib import Path

import pytest
from tests.conformance import comfyui_case
from tests.conformance.bench import Recorder, until, within_bound
from tests.conformance.comfyui_client import model_graph
from tests.daemon.engines.comfyui_bench import Stranger, at_work, run_graphs, tried
from tests.fakes.comfyui.harness import ComfyProcess
from tests.fakes.nvml.harness import FakeNvml
from tests.fakes.nvml.shared import GB, SharedCard

from stoker_daemon.engines.comfyui import memory
from stoker_daemon.jobs.records import EngineFailure

CHECKPOINT = comfyui_case.CHECKPOINTS[0]


@pytest.fixture
def nvml(tmp_path: Path) -> Path:
    """The file of a machine with one card of 24 GB."""
    machine = FakeNvml(tmp_path, tmp_path)
    machine.card()
    return tmp_path / "nvml"


def test_a_model_and_its_bytes(nvml: Path, tmp_path: Path) -> None:
    """We expect the models of the last run with what the server holds, and nothing once it has freed it."""

    async def scenario() -> None:
        with ComfyProcess(tmp_path / "server", card=nvml, model_gb=10) as server:
            async with at_work(server, tmp_path) as engine:
                assert engine.residents() == []
                await within_bound(engine.load(CHECKPOINT))
                assert await within_bound(run_graphs(engine, Recorder(), model_graph(CHECKPOINT, steps=1))) is True
                await until(lambda: [each.bytes for each in engine.residents()] == [10 * GB])
                assert engine.residents()[0].residency == CHECKPOINT
                await within_bound(engine.unload(""))
                assert engine.residents() == []
                assert SharedCard(nvml).held(server.pid) == {}

    tried(scenario)


def test_a_server_that_does_not_free(nvml: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """We expect an unload that comes to nothing to fail within its bound, in words, and to go well later."""
    monkeypatch.setattr(memory, "FREE_S", 0.3)

    async def scenario() -> None:
        with ComfyProcess(tmp_path / "server", card=nvml, model_gb=10, keeps_memory=True) as server:
            async with at_work(server, tmp_path) as engine:
                await within_bound(engine.load(CHECKPOINT))
                await within_bound(run_graphs(engine, Recorder(), model_graph(CHECKPOINT, steps=1)))
                await until(lambda: any(each.bytes for each in engine.residents()))
                with pytest.raises(EngineFailure, match=r"still holds 10\.0 GiB after 0\.3 s"):
                    await within_bound(engine.unload(""))
                assert [(each.residency, each.bytes) for each in engine.residents()] == [(CHECKPOINT, 10 * GB)]
                monkeypatch.setattr(memory, "FREE_S", 30.0)
                server.defects(keeps_memory=False)
                await within_bound(engine.unload(""))
                assert engine.residents() == []

    tried(scenario)


def test_what_others_had_it_load(nvml: Path, tmp_path: Path) -> None:
    """We expect memory that somebody at the web UI has the server hold to be known, without a name."""

    async def scenario() -> None:
        with ComfyProcess(tmp_path / "server", card=nvml, model_gb=10) as server:
            Stranger(server).submit(model_graph(CHECKPOINT, steps=1))
            await until(lambda: SharedCard(nvml).held(server.pid))
            async with at_work(server, tmp_path) as engine:
                assert [(each.residency, each.bytes) for each in engine.residents()] == [("", 10 * GB)]
                await within_bound(engine.unload(""))
                assert engine.residents() == []

    tried(scenario)
