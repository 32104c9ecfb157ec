"""Model files of the next wave are read ahead: all of them, where they are, as far as memory allows, off the loop."""

from pathlib import Path
from threading import Event

import pytest
from tests.conformance import comfyui_case
from tests.conformance.bench import Recorder, until, within_bound
from tests.conformance.comfyui_client import model_graph
from tests.daemon.engines.comfyui_bench import at_work, run_graphs, tried
from tests.fakes.comfyui.harness import ComfyProcess
from tests.worker.processes import wait_for

from stoker_daemon.engines.comfyui import ahead
from stoker_daemon.engines.comfyui.ahead import STEP, Ahead

A, B = comfyui_case.CHECKPOINTS
HERE = "http://127.0.0.1:8188"


class Kernel:
    """Is told what will be needed; answers once it is `open`."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, int]] = []
        self.is_asking = Event()
        self.open = Event()
        self.open.set()

    def advise(self, _file: int, at: int, size: int) -> None:
        self.is_asking.set()
        assert self.open.wait(30)
        self.asked.append((at, size))


def a_model(folder: Path, name: str = "checkpoints/a.safetensors", size: int = 2 * STEP + 1) -> Path:
    """A file of so many bytes."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)
    return path


def test_a_file_is_read_from_end_to_end(tmp_path: Path) -> None:
    """We expect every byte to be asked for once, in pieces that the kernel really reads, and then to be there."""
    a_model(tmp_path)
    kernel = Kernel()
    Ahead(HERE, tmp_path, is_on=True, advise=kernel.advise).read([("checkpoint", "a.safetensors")])
    wait_for(lambda: kernel.asked == [(0, STEP), (STEP, STEP), (2 * STEP, 1)])


def test_a_file_is_read_once_until_another_is(tmp_path: Path) -> None:
    """We expect who asks again and again for the same model to cost nothing, and one that comes back to be read."""
    a_model(tmp_path, size=1)
    a_model(tmp_path, "loras/b.safetensors", size=2)
    kernel = Kernel()
    reader = Ahead(HERE, tmp_path, is_on=True, advise=kernel.advise)
    expected: list[tuple[int, int]] = []
    for kind, name, size in [("checkpoint", "a", 1), ("lora", "b", 2), ("checkpoint", "a", 1)]:
        expected.append((0, size))
        for _ in range(3):
            reader.read([(kind, f"{name}.safetensors")])
            wait_for(lambda: not (reader._thread and reader._thread.is_alive()))
        assert kernel.asked == expected


def test_nothing_waits_for_a_disk_that_does_not_answer(tmp_path: Path) -> None:
    """We expect a read that hangs to hold up neither who asked nor what is asked next, which is left out."""
    a_model(tmp_path)
    a_model(tmp_path, "loras/b.safetensors", size=1)
    kernel = Kernel()
    kernel.open.clear()
    reader = Ahead(HERE, tmp_path, is_on=True, advise=kernel.advise)
    reader.read([("checkpoint", "a.safetensors")])
    assert kernel.is_asking.wait(30)
    reader.read([("lora", "b.safetensors")])
    reader.stop()
    assert kernel.asked == []
    kernel.open.set()
    wait_for(lambda: kernel.asked == [(0, STEP)])


def test_what_is_not_there_or_not_ours(tmp_path: Path) -> None:
    """We expect files that are missing, of unknown kinds or outside of their folder to be passed over."""
    a_model(tmp_path)
    a_model(tmp_path, "secret", size=7)
    kernel = Kernel()
    reader = Ahead(HERE, tmp_path, is_on=True, advise=kernel.advise)
    names = [
        ("checkpoint", "../secret"),
        ("checkpoint", str(tmp_path / "secret")),
        ("checkpoint", "gone"),
        ("lora", ""),
    ]
    reader.read([*names, ("other", "a.safetensors"), ("checkpoint", "a.safetensors")])
    wait_for(lambda: len(kernel.asked) == 3)
    assert sum(size for _, size in kernel.asked) == 2 * STEP + 1


def test_no_more_than_memory_allows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """We expect a file that would push others out of memory to be left on its disk, and a smaller one to be read."""
    a_model(tmp_path)
    a_model(tmp_path, "loras/b.safetensors", size=1)
    monkeypatch.setattr(ahead, "SHARE", 0.0)
    kernel = Kernel()
    reader = Ahead(HERE, tmp_path, is_on=True, advise=kernel.advise)
    reader.read([("checkpoint", "a.safetensors")])
    wait_for(lambda: not (reader._thread and reader._thread.is_alive()))
    assert kernel.asked == []
    monkeypatch.setattr(ahead, "SHARE", 0.5)
    reader.read([("lora", "b.safetensors")])
    wait_for(lambda: kernel.asked == [(0, 1)])


@pytest.mark.parametrize(
    ("url", "models_dir", "is_on", "expected"),
    [
        (HERE, None, True, True),
        ("http://localhost:1", None, True, True),
        ("http://[::1]:1", None, True, True),
        ("http://attic:8188", None, True, False),
        ("http://10.0.0.7:8188", None, True, False),
        (HERE, Path("/models"), True, False),
        (HERE, None, False, False),
    ],
)
def test_who_is_asked_where_models_are(url: str, models_dir: Path | None, is_on: bool, expected: bool) -> None:
    """We expect only a server on this host to be asked, and only where nobody has said it."""
    assert Ahead(url, models_dir, is_on=is_on).wants_folders is expected


@pytest.mark.parametrize("cache", ["classic", "lru"])
def test_what_the_server_does_not_keep_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: str) -> None:
    """We expect the file of the next model to be read from where the server has it, unless it need not load that."""
    kernel = Kernel()
    monkeypatch.setattr(ahead, "_will_need", kernel.advise)

    async def scenario() -> None:
        with ComfyProcess(tmp_path / "server", cache=cache) as server:
            size = (tmp_path / "server/models/checkpoints" / B).stat().st_size
            async with at_work(server, tmp_path) as engine:
                for number, model in enumerate((B, A)):
                    await within_bound(engine.load(model))
                    graph = model_graph(model, steps=1)
                    assert await within_bound(run_graphs(engine, Recorder(), graph, run_id=str(number)))
                engine.read_ahead(B)
                if cache == "classic":
                    await until(lambda: kernel.asked == [(0, size)])
                assert engine._ahead._thread is None or cache == "classic"

    tried(scenario)
