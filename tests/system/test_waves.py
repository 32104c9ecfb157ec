"""Jobs for several models in shuffled order: each model is loaded once, or, first come first served, with most jobs."""

from itertools import pairwise
from pathlib import Path

import pytest
from benchmarks.waves.daemons import SMALL, ComfyUI, Kind, RealComfyUI, Sprites, loads_at, measure, shuffled
from tests.conformance.comfyui_case import CHECKPOINTS
from tests.conformance.real_harness import SERVER, RealComfy, real_server
from tests.fakes.comfyui.files import write_model
from tests.fakes.comfyui.harness import ComfyProcess
from tests.system.daemons import a_rig, config
from tests.worker.processes import BOUND_S, wait_for

from stoker_protocol.events import ModelLoaded

ITEMS = 20
LORAS = ("random_lora.safetensors", "other_lora.safetensors")


@pytest.mark.parametrize("kind", [Sprites(), ComfyUI()], ids=lambda kind: kind.name)
def test_loads_in_waves(tmp_path: Path, kind: Kind) -> None:
    """We expect five models to be loaded some five times, by a worker of ours and by a ComfyUI server."""
    assert 5 <= measure(kind, "waves", ITEMS, 0.1, tmp_path).loads <= 8


def test_loads_first_come_first_served(tmp_path: Path) -> None:
    """We expect the same queue to need a load for most of its jobs when nothing gathers them."""
    assert measure(Sprites(), "fifo", ITEMS, 0.0, tmp_path).loads > ITEMS / 2


def test_loads_of_two_checkpoints(tmp_path: Path) -> None:
    """We expect a server, a real one if there is one, to load each of two checkpoints once, or at each change."""
    with real_server() if SERVER else ComfyProcess(tmp_path / "server") as server:
        try:
            kind = RealComfyUI(server.url, CHECKPOINTS, SMALL)
            order = shuffled(CHECKPOINTS, ITEMS)
            changes = sum(this != before for this, before in pairwise(order))
            assert measure(kind, "fifo", ITEMS, 0.0, tmp_path).loads in (changes, changes + 1)
            assert measure(kind, "waves", ITEMS, 0.0, tmp_path).loads <= len(CHECKPOINTS)
        finally:
            if isinstance(server, RealComfy):
                server.close()


@pytest.mark.parametrize("read_ahead", [True, False])
def test_loads_at_a_server(tmp_path: Path, read_ahead: bool) -> None:
    """We expect a server's loads to be counted and told, and the next model's file to be read meanwhile, if wanted."""
    with ComfyProcess(tmp_path / "server", load_s=0.5) as server:
        asked = f'[engines.comfyui]\nkind = "comfyui"\nurl = "{server.url}"\nread_ahead = {str(read_ahead).lower()}\n'
        with a_rig(tmp_path, config(engines=asked)) as rig:
            jobs: list[str] = []
            rig.client.pause()
            for number in range(6):
                model = CHECKPOINTS[number % 2]
                jobs.append(rig.client.submit(["a knight"], model=model, params={"seed": number}).job_id)
            rig.client.resume()
            for job_id in jobs:
                rig.client.wait(job_id, BOUND_S)
            wait_for(lambda: sum(lane.loads for lane in rig.client.snapshot().lanes) == 2)
            assert sorted(event.model for event in rig.events(ModelLoaded)) == sorted(CHECKPOINTS)
            log = (rig.data_dir / "stokerd.log").read_text()
            assert ("reads ahead" in log) == read_ahead
            (engine,) = rig.client.engines()
            assert engine.server is not None
            assert engine.server.caching == "results of the last prompt, as its prompts show"


def test_loads_of_two_checkpoints_with_two_loras_each(tmp_path: Path) -> None:
    """We expect a checkpoint to be loaded once for all that is put on it, however the jobs are shuffled."""
    with ComfyProcess(tmp_path / "server", load_s=0.5) as server:
        write_model(tmp_path / "server/models/loras" / LORAS[1], "lora")
        asked = f'[engines.comfyui]\nkind = "comfyui"\nurl = "{server.url}"\n'
        with a_rig(tmp_path, config(engines=asked)) as rig:
            rig.client.pause()
            stacks = [f"{model} {lora}" for lora in LORAS for model in CHECKPOINTS]
            jobs: list[str] = []
            for number, stack in enumerate(shuffled(stacks, ITEMS)):
                model, lora = stack.split()
                params = {**SMALL, "lora": lora, "seed": number}
                jobs.append(rig.client.submit(["a knight"], model=model, params=params).job_id)
            rig.client.resume()
            for job_id in jobs:
                assert rig.client.wait(job_id, BOUND_S).state == "succeeded"
        assert sorted(loads_at(server.url).values()) == sorted(CHECKPOINTS)
