"""Input images are sent to a ComfyUI server once, found under the name that it gave them, and sent again when gone."""

import hashlib
import io
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from PIL import Image
from tests.conformance.bench import Recorder, within_bound
from tests.daemon.engines.comfyui_bench import Graph, at_work, run_graphs, tried
from tests.fakes.comfyui.harness import ComfyProcess

from stoker_daemon.engines.comfyui import ComfyEngine
from stoker_daemon.engines.comfyui.inputs import Inputs
from stoker_daemon.engines.comfyui.server import Server
from stoker_daemon.outputs.blobs import BlobStore
from stoker_protocol.codec import pack
from stoker_protocol.errors import ErrorCode, Refused
from stoker_protocol.requests import ItemSpec, PutBlob, Submit


def picture(color: str, kind: str = "PNG") -> bytes:
    """An image."""
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), color).save(buffer, kind)
    return buffer.getvalue()


RED, BLUE = picture("red"), picture("blue")


def blob(data: bytes) -> str:
    """What a workflow says for an input file."""
    return f"blob:{hashlib.sha256(data).hexdigest()}"


def reading(*names: str) -> Graph:
    """A workflow that reads images by these names."""
    return {str(n): {"class_type": "LoadImage", "inputs": {"image": name}} for n, name in enumerate(names)}


def placed(graph: Graph) -> list[str]:
    """The names that the images of a workflow have."""
    return [node["inputs"]["image"] for node in graph.values()]


def uploads(server: ComfyProcess) -> int:
    """How many files were sent to a server."""
    return server.state()["requests"].get("POST /upload/image", 0)


@asynccontextmanager
async def supplied(server: ComfyProcess, folder: Path, *files: bytes) -> AsyncGenerator[Inputs]:
    """The inputs of a server, with these files at hand."""
    blobs, http = BlobStore(folder), Server(server.url)
    try:
        for data in files:
            sha256 = hashlib.sha256(data).hexdigest()
            await blobs.put(PutBlob(id="1", sha256=sha256, total=len(data), offset=0, data=data))
        yield Inputs(http, blobs)
    finally:
        await http.close()
        await blobs.close()


def test_sent_once(server: ComfyProcess, tmp_path: Path) -> None:
    """An image is sent once, however often workflows read it, and its mask with it; another one is sent as well."""

    async def scenario() -> None:
        async with supplied(server, tmp_path, RED, BLUE) as inputs:
            graph = reading(blob(RED), blob(RED), blob(BLUE), "theirs.png")
            graph["9"] = {"class_type": "LoadImageMask", "inputs": {"image": blob(RED), "channel": "alpha"}}
            await within_bound(inputs.place(graph))
            names = placed(graph)
            assert names[0] == names[1] == names[4] == f"stoker/{blob(RED)[5:]}.png"
            assert (names[2], names[3]) == (f"stoker/{blob(BLUE)[5:]}.png", "theirs.png")
            again = reading(blob(BLUE))
            await within_bound(inputs.place(again))
            assert (placed(again), uploads(server)) == ([names[2]], 2)
            assert (server.directory / "input" / names[0]).read_bytes() == RED

    tried(scenario)


def test_the_name_that_the_server_gives(server: ComfyProcess, tmp_path: Path) -> None:
    """Where the server has another file by that name, the name that it gives counts."""

    async def scenario() -> None:
        folder = server.directory / "input" / "stoker"
        folder.mkdir(parents=True)
        (folder / f"{blob(RED)[5:]}.png").write_bytes(BLUE)
        async with supplied(server, tmp_path, RED) as inputs:
            graph = reading(blob(RED))
            await within_bound(inputs.place(graph))
            assert placed(graph) == [f"stoker/{blob(RED)[5:]} (1).png"]
            assert (server.directory / "input" / placed(graph)[0]).read_bytes() == RED

    tried(scenario)


@pytest.mark.parametrize(("kind", "suffix"), [("JPEG", ".jpg"), ("WEBP", ".webp"), ("GIF", ".gif")])
def test_kinds_of_images(server: ComfyProcess, tmp_path: Path, kind: str, suffix: str) -> None:
    """A file is named after what is in it."""
    data = picture("red", kind)

    async def scenario() -> None:
        async with supplied(server, tmp_path, data) as inputs:
            graph = reading(blob(data))
            await within_bound(inputs.place(graph))
            assert placed(graph) == [f"stoker/{blob(data)[5:]}{suffix}"]

    tried(scenario)


def test_sent_again(server: ComfyProcess, tmp_path: Path) -> None:
    """After a restart a file that is still there is not sent again, and one that somebody removed is."""

    async def scenario() -> None:
        async with supplied(server, tmp_path, RED, BLUE) as inputs:
            await within_bound(inputs.place(reading(blob(RED), blob(BLUE))))
            server.restart()
            (server.directory / "input" / "stoker" / f"{blob(RED)[5:]}.png").unlink()
            graph = reading(blob(RED), blob(BLUE))
            await within_bound(inputs.place(graph))
            assert uploads(server) == 1
            assert (server.directory / "input" / placed(graph)[0]).read_bytes() == RED

    tried(scenario)


def test_a_file_that_is_not_here(server: ComfyProcess, tmp_path: Path) -> None:
    """A job that names a file which was never sent is refused by the item that does, with how to send it."""

    async def scenario() -> None:
        async with supplied(server, tmp_path, RED) as inputs:
            items = [ItemSpec(params=pack({"image": blob(data)})) for data in (RED, BLUE)]
            with pytest.raises(Refused, match=blob(BLUE)) as refused:
                await inputs.check(Submit(id="1", job_id="job", items=items))
            assert (refused.value.code, refused.value.field) == (ErrorCode.BAD_REQUEST, "items[1].params.image")
            assert "put_blob" in refused.value.hint

    tried(scenario)


def test_a_file_that_went_before_its_run(server: ComfyProcess, tmp_path: Path) -> None:
    """An item whose file was removed fails alone."""

    def workflow(image: str) -> Graph:
        saving = {"class_type": "SaveImage", "inputs": {"images": ["0", 0], "filename_prefix": ""}}
        return {**reading(image), "1": saving}

    async def run(engine: ComfyEngine) -> None:
        recorder = Recorder()
        graphs = (workflow(blob(BLUE)), workflow(blob(RED)))
        assert await within_bound(run_graphs(engine, recorder, *graphs)) is True
        assert recorder.positions == [1]
        assert [(position, kind) for position, kind, _ in recorder.failures] == [(0, "invalid")]

    async def scenario() -> None:
        async with supplied(server, tmp_path, RED), at_work(server, tmp_path) as engine:
            await run(engine)

    tried(scenario)
