"""A look at the GPUs and the host: off the loop, bounded, and never in the way of another."""

import asyncio
from pathlib import Path

import psutil
import pytest
from tests.conformance.bench import until, within_bound
from tests.fakes.nvml.harness import FakeNvml

from stoker_daemon.gpu import probe as module
from stoker_daemon.gpu.probe import Probe
from stoker_daemon.gpu.processes import _script


def test_a_host_without_a_gpu(nvml: FakeNvml, tmp_path: Path) -> None:
    """We expect why there is no GPU, and the host's memory and disk all the same."""

    async def scenario() -> None:
        probe = Probe(tmp_path, lambda: 42)
        sample = await within_bound(probe.look())
        assert (sample.at_ms, sample.gpus, sample.trouble) == (42, [], "there is no NVIDIA driver on this host")
        assert sample.host.memory_total == psutil.virtual_memory().total
        assert 0 < sample.host.memory_available <= sample.host.memory_total
        assert 0 < sample.host.disk_free <= sample.host.disk_total
        nvml.card()
        assert len((await within_bound(probe.look())).gpus) == 1
        await within_bound(probe.close())

    asyncio.run(scenario())


def test_a_driver_that_hangs(nvml: FakeNvml, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """We expect a look that ends without an answer of the driver, no second call into it, and all again afterwards."""
    monkeypatch.setattr(module, "LOOK_S", 0.05)
    nvml.card()
    nvml.set(hang=1)

    async def scenario() -> None:
        probe = Probe(tmp_path, lambda: 42)
        for _ in range(3):
            sample = await within_bound(probe.look())
            assert sample.gpus == []
            assert "does not answer" in sample.trouble
            assert sample.host.memory_total > 0
        assert probe._asked.qsize() == 0
        nvml.set(hang=None)
        looks: list[int] = []

        async def look() -> None:
            while not looks or not looks[-1]:
                looks.append(len((await probe.look()).gpus))

        await within_bound(look())
        assert looks[-1] == 1
        await within_bound(probe.close())

    asyncio.run(scenario())


def test_a_data_directory_that_is_gone(nvml: FakeNvml, tmp_path: Path) -> None:
    """We expect an error of the system for who looks, and the next look to go well once it is there again."""
    nvml.card()

    async def scenario() -> None:
        probe = Probe(tmp_path / "gone", lambda: 42)
        with pytest.raises(FileNotFoundError):
            await within_bound(probe.look())
        (tmp_path / "gone").mkdir()
        assert len((await within_bound(probe.look())).gpus) == 1
        await within_bound(probe.close())
        await until(lambda: not probe._thread.is_alive())

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["main.py", "--port", "8188"], "main.py"),
        (["-P", "-X", "faulthandler", "-m", "stoker_worker", "--fd", "3"], "stoker_worker"),
        (["-u", "-W", "error", "serve.py"], "serve.py"),
        (["-i"], ""),
        ([], ""),
    ],
)
def test_what_an_interpreter_runs(words: list[str], expected: str) -> None:
    """We expect the script or the module, whatever options stand before it."""
    assert _script(words) == expected
