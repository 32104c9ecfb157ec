"""A daemon with a ComfyUI server whose items share prompts, and what is told of each picture."""

import json
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image
from PIL.PngImagePlugin import PngImageFile
from tests.fakes.comfyui.harness import ComfyProcess
from tests.system.daemons import Rig, a_rig, config
from tests.worker.processes import BOUND_S, wait_for

from stoker_protocol.jobs import Item, JobState

AT_ONCE = '[scheduling]\npolicy = "strict"\n'
"""As many items share a run as may; waves take fewer where that is as fast."""
EULER = {"sampler": "euler", "width": 64, "height": 64, "steps": 2}


class Studio:
    """A daemon that has a ComfyUI server; a job of it takes `patience_s` seconds at most."""

    def __init__(self, rig: Rig, patience_s: float = BOUND_S) -> None:
        self.rig = rig
        self._patience_s = patience_s

    def made(self, items: Sequence[dict[str, Any]], **options: Any) -> list[Item]:
        """The items of a job that has succeeded."""
        job_id = self.submit(items, **options)
        job = self.rig.client.wait(job_id, self._patience_s)
        assert (job.state, job.items.succeeded) == (JobState.SUCCEEDED, len(items))
        return self.rig.items(job_id)

    def submit(self, items: Sequence[dict[str, Any]], **options: Any) -> str:
        """Submit items with these parameters."""
        params = {**EULER, **options.pop("params", {})}
        return self.rig.client.submit([{"params": item} for item in items], params=params, **options).job_id

    def file(self, item: Item) -> Path:
        """The picture of an item."""
        (artifact,) = item.artifacts
        return self.rig.data_dir / artifact.path

    def record(self, item: Item) -> dict[str, Any]:
        """What the engine says of an item's picture, in the file beside it."""
        path = self.file(item)
        beside = path.parent.parent / "metadata" / f"{path.stem}.json"
        return json.loads(beside.read_text())["record"]

    def texts(self, item: Item) -> tuple[dict[str, Any], dict[str, Any]]:
        """What a picture says of itself: how Stoker made it, and the graph that makes it."""
        with PngImageFile(self.file(item)) as opened:
            opened.load()
            return json.loads(opened.text["stoker"]), json.loads(opened.text["prompt"])

    def pixels(self, items: Sequence[Item]) -> list[bytes]:
        """The pictures themselves."""
        pictures: list[bytes] = []
        for item in items:
            with Image.open(self.file(item)) as opened:
                pictures.append(opened.tobytes())
        return pictures


class FakeStudio(Studio):
    """A studio whose server is a fake."""

    def __init__(self, rig: Rig, server: ComfyProcess) -> None:
        super().__init__(rig)
        self.server = server

    def prompts(self) -> list[str]:
        """The ids of the prompts that the server has begun, in order."""
        return self.server.executions()


@contextmanager
def a_studio(folder: Path, scheduling: str = AT_ONCE, **options: Any) -> Generator[FakeStudio]:
    """A studio whose server has the node pack."""
    with ComfyProcess(folder / "server", **{"stoker_nodes": "yes", **options}) as server:
        engine = f'[engines.comfyui]\nkind = "comfyui"\nurl = "{server.url}"\n'
        with a_rig(folder, config(engines=scheduling + engine, stop_grace_s=5)) as rig:
            wait_for(lambda: server.state()["connections"])
            yield FakeStudio(rig, server)


def knights(count: int, **more: Any) -> list[dict[str, Any]]:
    """Items that differ in their seeds and prompts."""
    return [{"prompt": f"knight {number}", "seed": 1000 + 7 * number, **more} for number in range(count)]
