"""A ComfyUI engine for the conformance suite: its recipes, and the server that it is tried against."""

import atexit
import os
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from tests.fakes.comfyui.harness import ComfyProcess

from stoker_daemon.engines.comfyui import ComfyEngine
from stoker_daemon.outputs.blobs import BlobStore
from stoker_daemon.recipes.library import Library, Recipe
from stoker_daemon.recipes.profiles import BUILT_IN
from stoker_daemon.recipes.template import Binding
from stoker_protocol.jobs import Parameter

REAL_URL = os.environ.get("STOKER_TEST_COMFYUI", "")
"""A real server to try instead of the fake; it needs the node pack of `comfyui_nodes.py`."""
CHECKPOINTS = ("random_sd15.safetensors", "sub/random_b.safetensors")
WORKFLOW: dict[str, Any] = {
    "1": {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 64, "batch_size": 1, "color": 0}},
    "2": {
        "class_type": "StokerTestSleep",
        "inputs": {"image": ["1", 0], "seconds": 0.0, "blocking": False, "steps": 2},
    },
    "3": {"class_type": "StokerTestOom", "inputs": {"image": ["2", 0], "fits": 8}},
    "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": ""}},
    "9": {"class_type": "SaveImage", "inputs": {"images": ["3", 0], "filename_prefix": ""}},
}
RECIPE = Recipe(
    "txt2img",
    "An empty image, after a while",
    WORKFLOW,
    (
        Binding(Parameter("prompt", "string", required=True), ["9.filename_prefix"]),
        Binding(Parameter("seed", "integer", minimum=0), ["1.color"]),
        Binding(Parameter("steps", "integer", default=2, minimum=1), ["2.steps"]),
        Binding(Parameter("seconds", "number", default=0.0), ["2.seconds"]),
        Binding(Parameter("size", "integer", default=64), ["1.width", "1.height"]),
        Binding(Parameter("batch_size", "integer", default=1), ["1.batch_size"]),
        Binding(Parameter("fits", "integer", default=8), ["3.fits"]),
        Binding(Parameter("model", "string"), ["4.ckpt_name"]),
    ),
    {},
)
LIBRARY = Library({"txt2img": RECIPE}, {profile.name: profile for profile in BUILT_IN})


@cache
def server_url() -> str:
    """The server that the suite shares: a real one if there is one, else a fake that ends with the tests."""
    if REAL_URL:
        return REAL_URL
    folder = tempfile.TemporaryDirectory(prefix="comfyui-")
    server = ComfyProcess(Path(folder.name) / "server")
    atexit.register(folder.cleanup)
    atexit.register(server.kill)
    return server.url


def engine(folder: Path, url: str = "", **options: Any) -> ComfyEngine:
    """An engine for the server at `url`, by default the shared one; blobs are kept in the folder."""
    return ComfyEngine(
        "comfyui", url=url or server_url(), lane="gpu", library=LIBRARY, blobs=BlobStore(folder), **options
    )
