"""One queue and one card for images and language models, simulated: nobody overfills it, all get their turn."""

import subprocess
from collections.abc import Generator
from contextlib import ExitStack
from pathlib import Path
from random import Random

import pytest
from tests.fakes.comfyui.harness import ComfyProcess
from tests.fakes.nvml.harness import FakeNvml, build
from tests.fakes.nvml.shared import GB, SharedCard
from tests.fakes.ollama.harness import OllamaProcess
from tests.system.daemons import REPOSITORY, Rig, a_rig, config
from tests.worker.processes import wait_for

from stoker_protocol.events import EngineDown, ModelUnloaded
from stoker_protocol.replies import ErrorReply
from stoker_protocol.requests import PauseWork

CHECKPOINT = "random_sd15.safetensors"
ENGINES = f"""
[engines.heavy]
model = "tests.models.heavy:Heavy"
python_path = ["{REPOSITORY}"]
options = {{card = "CARD"}}
[engines.comfyui]
kind = "comfyui"
url = "COMFYUI"
[engines.ollama]
kind = "ollama"
url = "OLLAMA"
lane = "gpu"
"""


class Host:
    """A daemon, a ComfyUI with a checkpoint of 12 GB, an Ollama, and the card of 24 GB that they share with workers."""

    def __init__(self, folder: Path, nvml: FakeNvml, stack: ExitStack) -> None:
        self.card = SharedCard(folder / "nvml")
        switches = {"card": str(folder / "nvml")}
        self.comfyui = stack.enter_context(ComfyProcess(folder / "comfyui", **switches, model_gb=12))
        self.ollama = OllamaProcess(**switches)
        stack.callback(self.ollama.kill)
        self._folder = folder
        self._stack = stack
        self._nvml = nvml

    def start(self, head: str = "") -> Rig:
        """Start the daemon."""
        engines = ENGINES.replace("CARD", str(self._folder / "nvml"))
        engines = engines.replace("COMFYUI", self.comfyui.url).replace("OLLAMA", self.ollama.url)
        text = config(head=f"[gpu]\nsample_s = 0.2\n{head}", engines=engines)
        rig = self._stack.enter_context(a_rig(self._folder, text))
        wait_for(lambda: rig.client.health().ready)
        return rig


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Host]:
    """All servers up, nothing loaded."""
    nvml = FakeNvml(tmp_path, build(tmp_path))
    nvml.card()
    for name, value in nvml.environment.items():
        monkeypatch.setenv(name, value)
    with ExitStack() as stack:
        yield Host(tmp_path, nvml, stack)


def submit(rig: Rig, kind: str, count: int = 1) -> str:
    """Order something of an engine: `xl` of ComfyUI, `large` and `small` of the worker, `other:3b` of Ollama."""
    items = [f"{kind} {n}" for n in range(count)]
    match kind:
        case "xl":
            params = {"steps": 1, "width": 64, "height": 64}
            return rig.client.submit(items, engine="comfyui", model=CHECKPOINT, params=params).job_id
        case "large" | "small":
            return rig.client.submit(items, engine="heavy", model=kind).job_id
        case _:
            return rig.client.submit(items, engine="ollama", model=kind).job_id


def test_images_and_language_models_share_a_card(host: Host) -> None:
    """We expect jobs of all engines, in any order, to succeed at once, and the card never to be overfull."""
    rig = host.start()
    kinds = ["xl", "large", "other:3b", "small", "xl", "other:3b", "large", "xl", "small", "large", "other:3b", "xl"]
    jobs = [submit(rig, kind, 3) for kind in kinds]
    for job_id in jobs:
        assert rig.wait(job_id).state == "succeeded"
        assert {item.attempts for item in rig.items(job_id)} == {1}
    facts = host.card.facts
    assert facts["refused"] == []
    assert 14 * GB <= facts["peak"] <= host.card.total
    assert {event.reason.partition(" ")[0] for event in rig.events(ModelUnloaded)} == {"room"}
    assert rig.events(EngineDown) == []


def test_swaps_are_those_that_the_plan_announced(host: Host) -> None:
    """We expect a plan that is carried out to load what it said, in its order, and the card never to be overfull."""
    rig = host.start()
    for kind in ("xl", "large", "other:3b", "small"):  # what was seen once is known
        assert rig.wait(submit(rig, kind)).state == "succeeded"
    rig.client.pause()
    kinds = ["xl", "large", "other:3b", "small"] * 6
    Random(1).shuffle(kinds)
    jobs = [submit(rig, kind, 2) for kind in kinds]
    before = host.card.facts["loads"]
    plan = rig.client.plan()
    rig.client.execute_plan(plan.token)
    for job_id in jobs:
        assert rig.wait(job_id).state == "succeeded"
    facts = host.card.facts
    announced = [wave.model for wave in plan.waves if wave.load_s]
    assert facts["loads"][len(before) :] == announced
    assert (facts["refused"], facts["peak"] <= host.card.total) == ([], True)


def test_who_fits_may_stay(host: Host) -> None:
    """We expect models that fit together to stay together once that is known, however often they take turns."""
    rig = host.start()
    for kind in ("xl", "small", "other:3b") * 2:
        assert rig.wait(submit(rig, kind)).state == "succeeded"
    unloaded = len(rig.events(ModelUnloaded))
    for kind in ("xl", "small", "other:3b") * 3:
        assert rig.wait(submit(rig, kind)).state == "succeeded"
    assert len(rig.events(ModelUnloaded)) == unloaded
    held = {(holding.holder, (holding.bytes or 0) // 10**9) for holding in rig.client.gpu().holdings}
    assert {("comfyui", 12), ("heavy", 5), ("ollama", 5)} <= held


def test_who_fits_may_stay_after_a_restart(host: Host) -> None:
    """We expect a daemon to know from the one before it which models fit together, so that none has to make room."""
    rig = host.start()
    for kind in ("xl", "small", "other:3b") * 2:
        assert rig.wait(submit(rig, kind)).state == "succeeded"
    rig.stop()
    host.card.settle()
    rig.restart()
    unloaded = len(rig.events(ModelUnloaded))
    for kind in ("small", "xl", "other:3b", "small"):
        assert rig.wait(submit(rig, kind)).state == "succeeded"
    assert len(rig.events(ModelUnloaded)) == unloaded
    assert host.card.facts["refused"] == []


def test_a_stranger_who_fills_the_card(host: Host) -> None:
    """We expect a model to wait for who has come meanwhile, with his name, and to load when he goes."""
    rig = host.start()
    for kind in ("large", "other:3b"):
        assert rig.wait(submit(rig, kind)).state == "succeeded"
    with subprocess.Popen(["sleep", "600"]) as stranger:
        try:
            host.card.put("scene", 14 * GB, stranger.pid)
            job_id = submit(rig, "large")
            wait_for(lambda: "sleep (pid" in rig.client.snapshot().lanes[0].held_up)
            assert "large needs" in rig.client.snapshot().lanes[0].held_up
            cancelled = submit(rig, "xl")
            rig.client.cancel(cancelled)
            assert rig.wait(cancelled).state == "cancelled"
            assert not rig.client.job(job_id).state.is_final
            host.card.take("scene", stranger.pid)
            assert rig.wait(job_id).state == "succeeded"
        finally:
            stranger.kill()
    assert host.card.facts["refused"] == []
    assert {item.attempts for item in rig.items(job_id)} == {1}


def test_a_run_that_waits_for_room_can_be_cancelled(host: Host) -> None:
    """We expect a cancel to end the wait at once, nothing to be loaded for it, and the next job to run."""
    rig = host.start()
    for kind in ("large", "small"):
        assert rig.wait(submit(rig, kind)).state == "succeeded"
    with subprocess.Popen(["sleep", "600"]) as stranger:
        try:
            host.card.put("scene", 15 * GB, stranger.pid)
            job_id = submit(rig, "large")
            wait_for(lambda: "large needs" in rig.client.snapshot().lanes[0].held_up)
            rig.client.cancel(job_id)
            assert rig.wait(job_id).state == "cancelled"
            assert rig.wait(submit(rig, "small")).state == "succeeded"
        finally:
            stranger.kill()
    assert host.card.facts["refused"] == []


def test_an_ollama_that_evicts(host: Host) -> None:
    """We expect a model that Ollama has thrown out to be loaded again, and to have been made room for."""
    rig = host.start()
    for kind in ("other:3b", "small"):
        assert rig.wait(submit(rig, kind)).state == "succeeded"
    host.ollama.evict()
    for kind in ("other:3b", "xl", "other:3b"):
        assert rig.wait(submit(rig, kind)).state == "succeeded"
    assert host.card.facts["refused"] == []


def test_pause_may_release_the_gpu(host: Host) -> None:
    """We expect all models to leave the card while work is paused, and to come back afterwards."""
    rig = host.start()
    for kind in ("xl", "small", "xl"):
        assert rig.wait(submit(rig, kind)).state == "succeeded"
    assert rig.client.pause(reason="I need the GPU", release_gpu=True).releasing == ["gpu"]
    wait_for(lambda: host.card.free == host.card.total - GB // 2)
    wait_for(lambda: {event.reason for event in rig.events(ModelUnloaded)} >= {"pause"})
    job_id = submit(rig, "small")
    rig.client.resume()
    assert rig.wait(job_id).state == "succeeded"
    refused = rig.ask(PauseWork(id="1", job_id=job_id, release_gpu=True))
    assert isinstance(refused, ErrorReply)
    assert refused.field == "release_gpu"


def test_idle_models_leave(host: Host) -> None:
    """We expect a lane without work to give the card back after the time that the configuration says."""
    rig = host.start("idle_unload_s = 0.3\n")
    assert rig.wait(submit(rig, "xl")).state == "succeeded"
    wait_for(lambda: host.card.free == host.card.total - GB // 2)
    wait_for(lambda: [event.reason for event in rig.events(ModelUnloaded)] == ["idle"])
    assert rig.client.snapshot().lanes[0].model == ""
    assert rig.wait(submit(rig, "small")).state == "succeeded"
