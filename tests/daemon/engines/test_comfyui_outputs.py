"""What a run on a ComfyUI server makes comes whole and in order, and leaves the server only once it is recorded."""

from pathlib import Path
from typing import Any

from tests.conformance.bench import Recorder, within_bound
from tests.daemon.engines.comfyui_bench import ITEM, Graph, Stranger, at_work, held, image, run_graphs, run_items, tried
from tests.fakes.comfyui.harness import ComfyProcess

from stoker_protocol.errors import FailureKind

FILM = {"fps": 6.0}


def sound() -> Graph:
    """A workflow that saves a sound."""
    return {
        "1": {"class_type": "EmptyAudio", "inputs": {"duration": 0.1, "sample_rate": 44100, "channels": 1}},
        "2": {"class_type": "SaveAudio", "inputs": {"audio": ["1", 0], "filename_prefix": ""}},
    }


def saved(server: ComfyProcess) -> list[Path]:
    """The files that are in the server's output folder."""
    return sorted(path for path in (server.directory / "output").rglob("*") if path.is_file())


def test_media(server: ComfyProcess, tmp_path: Path) -> None:
    """Images, films, sounds, texts and previews are outputs of their item, each with its type, the last one marked."""
    graphs = [
        image(1),
        image(2, SaveAnimatedWEBP={**FILM, "lossless": True, "quality": 80, "method": "default"}),
        image(3, SaveWEBM={**FILM, "codec": "vp9", "crf": 32.0}),
        sound(),
        image(4, PreviewImage={}),
        image(5, SaveImage={}, PreviewImage={}),
    ]

    async def scenario() -> None:
        async with at_work(server, tmp_path) as engine:
            recorder = Recorder()
            assert await within_bound(run_graphs(engine, recorder, *graphs)) is True
            assert recorder.failures == []
            made = {n: [output for output in recorder.outputs if output.position == n] for n in range(len(graphs))}
            assert [len(outputs) for outputs in made.values()] == [2, 1, 1, 1, 2, 2]
            types = [outputs[0].media_type for outputs in made.values()]
            assert types == ["image/png", "image/webp", "video/webm", "audio/flac", "image/png", "image/png"]
            assert [[output.more for output in made[n]] for n in (0, 1)] == [[True, False], [False]]
            assert made[0][0].suffix == ".png"
            held = {path.read_bytes() for path in server.directory.rglob("*.*") if path.is_file()}
            assert {output.data for output in recorder.outputs} <= held

    tried(scenario)


def test_a_text(server: ComfyProcess, tmp_path: Path) -> None:
    """A text that a workflow shows is an output."""
    graph = image(1, PreviewImage={})
    graph["3"] = {"class_type": "StokerTestText", "inputs": {"image": ["1", 0], "text": "grüß"}}
    graph["4"] = {"class_type": "PreviewAny", "inputs": {"source": ["3", 1]}}

    async def scenario() -> None:
        async with at_work(server, tmp_path) as engine:
            recorder = Recorder()
            assert await within_bound(run_graphs(engine, recorder, graph)) is True
            (output,) = recorder.outputs
            assert (output.data.decode(), output.media_type, output.suffix) == ("grüß", "text/plain", ".txt")

    tried(scenario)


def test_an_output_that_is_too_large(server: ComfyProcess, tmp_path: Path) -> None:
    """An item whose output has more bytes than are allowed fails, and no other."""

    async def scenario() -> None:
        async with at_work(server, tmp_path, max_output_bytes=1_000) as engine:
            recorder = Recorder()
            large = {**ITEM, "size": 2_000}
            assert await within_bound(run_items(engine, recorder, ITEM, large, ITEM)) is True
            assert sorted(recorder.positions) == [0, 2]
            assert [(position, kind) for position, kind, _ in recorder.failures] == [(1, FailureKind.INVALID)]
            assert "1000 bytes" in recorder.failures[0][2]

    tried(scenario)


def in_order(recorder: Recorder) -> list[bytes]:
    """The outputs of a run in the order of its items, whichever was fetched first."""
    return [output.data for output in sorted(recorder.outputs, key=lambda output: output.position)]


def test_delete_what_is_recorded(server: ComfyProcess, tmp_path: Path) -> None:
    """Files leave the server when a run begins after they are recorded, and not before."""
    options: dict[str, Any] = {"output_dir": server.directory / "output", "delete_outputs": True}

    async def scenario() -> None:
        async with at_work(server, tmp_path, **options) as engine:
            recorder = Recorder()
            assert await within_bound(run_items(engine, recorder, ITEM, ITEM)) is True
            assert [path.read_bytes() for path in saved(server)] == in_order(recorder)
            other = Recorder()
            await within_bound(engine.load(""))
            assert await within_bound(run_items(engine, other, ITEM, run_id="other")) is True
            other.is_recorded = True
            await within_bound(engine.load(""))
            assert [path.read_bytes() for path in saved(server)] == in_order(recorder)
            recorder.is_recorded = True
            await within_bound(engine.load(""))
            assert saved(server) == []

    tried(scenario)


def test_a_workflow_that_makes_nothing(server: ComfyProcess, tmp_path: Path) -> None:
    """A prompt that succeeds without an output fails its item with a hint at why."""
    graph = image()
    graph["3"] = {"class_type": "StokerTestBlocker", "inputs": {"image": ["1", 0], "message": ""}}
    graph["2"]["inputs"]["images"] = ["3", 0]

    async def scenario() -> None:
        async with at_work(server, tmp_path) as engine:
            recorder = Recorder()
            assert await within_bound(run_graphs(engine, recorder, graph)) is True
            assert [(kind, "block" in message) for _, kind, message in recorder.failures] == [("invalid", True)]

    tried(scenario)


def test_a_partly_wrong_workflow(server: ComfyProcess, tmp_path: Path) -> None:
    """A workflow of which the server takes a part is refused as a whole, and nothing of it stays in the queue."""
    graph = held()
    graph["8"] = {"class_type": "EmptyImage", "inputs": {"width": 0, "height": 8, "batch_size": 1, "color": 0}}
    graph["9"] = {"class_type": "SaveImage", "inputs": {"images": ["8", 0], "filename_prefix": "x"}}

    async def scenario() -> None:
        async with at_work(server, tmp_path) as engine:
            recorder = Recorder()
            assert await within_bound(run_graphs(engine, recorder, graph, image(1))) is True
            assert recorder.positions == [1, 1]
            ((position, kind, message),) = recorder.failures
            assert (position, kind) == (0, FailureKind.INVALID)
            assert "node 8 (EmptyImage), input width: 0" in message
            assert Stranger(server).queue() == ([], [])

    tried(scenario)
