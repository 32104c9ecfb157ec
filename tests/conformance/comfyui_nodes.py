"""Nodes that let a real ComfyUI wait, fail, block and expand as the fake does, and a log of what it executes."""

import importlib
import os
import threading
import time
from pathlib import Path
from typing import Any, ClassVar

_LOOK_AGAIN_S = 0.02

# Only the server has these, and it is the server that loads this file.
_torch = importlib.import_module("torch")
_utils = importlib.import_module("comfy.utils")
_models = importlib.import_module("comfy.model_management")
_graphs = importlib.import_module("comfy_execution.graph_utils")
_execution = importlib.import_module("execution")
_server = importlib.import_module("server").PromptServer.instance
_web = importlib.import_module("aiohttp.web")

Inputs = dict[str, Any]

_IMAGE = ("IMAGE",)
_released = threading.Semaphore(0)


class _ImageNode:
    """What the nodes share: an image comes in, and goes out if all is well."""

    CATEGORY = "stoker/test"
    FUNCTION = "run"
    RETURN_TYPES: ClassVar[tuple[str, ...]] = _IMAGE
    REQUIRED: ClassVar[Inputs] = {}
    OPTIONAL: ClassVar[Inputs] = {}
    HIDDEN: ClassVar[Inputs] = {}

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Inputs]:  # noqa: N802 - the server calls it so
        parts = {"required": {"image": _IMAGE, **cls.REQUIRED}, "optional": cls.OPTIONAL, "hidden": cls.HIDDEN}
        return {part: inputs for part, inputs in parts.items() if inputs}


class StokerTestSleep(_ImageNode):
    """Passes the image on after so many seconds, -1: when it is released; `blocking` hears no interrupt meanwhile."""

    REQUIRED: ClassVar[Inputs] = {
        "seconds": ("FLOAT", {"default": 0.05, "min": -1.0, "max": 3600.0, "step": 0.001}),
        "blocking": ("BOOLEAN", {"default": False}),
    }
    OPTIONAL: ClassVar[Inputs] = {"steps": ("INT", {"default": 0, "min": 0, "max": 10000, "step": 1})}

    def run(self, image: Any, seconds: float, blocking: bool, steps: int = 0) -> tuple[Any]:
        if seconds < 0:
            _wait_for_release(blocking)
            return (image,)
        progress = _utils.ProgressBar(steps) if steps else None
        for _ in range(steps or 1):
            _sleep(seconds / (steps or 1), blocking)
            if progress:
                progress.update(1)
        return (image,)


class StokerTestText(_ImageNode):
    """Sends the text as a text frame, and gives it as its second output."""

    RETURN_TYPES: ClassVar[tuple[str, ...]] = ("IMAGE", "STRING")
    REQUIRED: ClassVar[Inputs] = {"text": ("STRING", {"default": "", "multiline": True})}
    HIDDEN: ClassVar[Inputs] = {"node_id": "UNIQUE_ID"}

    def run(self, image: Any, text: str, node_id: str) -> tuple[Any, str]:
        _server.send_progress_text(text, node_id, _server.client_id)
        return image, text


class StokerTestFail(_ImageNode):
    """Fails with the message."""

    REQUIRED: ClassVar[Inputs] = {"message": ("STRING", {"default": "failed on purpose"})}

    def run(self, message: str, **_image: Any) -> None:
        raise RuntimeError(message)


class StokerTestBlocker(_ImageNode):
    """Blocks whatever uses its output: with the message, or silently without one."""

    REQUIRED: ClassVar[Inputs] = {"message": ("STRING", {"default": ""})}

    def run(self, message: str, **_image: Any) -> tuple[Any]:
        return (_graphs.ExecutionBlocker(message or None),)


class StokerTestExpand(_ImageNode):
    """Becomes n nodes that invert the image one after another, and a preview of the last."""

    REQUIRED: ClassVar[Inputs] = {"n": ("INT", {"default": 2, "min": 1, "max": 100, "step": 1})}

    def run(self, image: Any, n: int) -> dict[str, Any]:
        graph = _graphs.GraphBuilder()
        for _ in range(n):
            image = graph.node("ImageInvert", image=image).out(0)
        graph.node("PreviewImage", images=image)
        return {"result": (image,), "expand": graph.finalize()}


class StokerTestExpandFail(_ImageNode):
    """Becomes one node that fails."""

    def run(self, image: Any) -> dict[str, Any]:
        graph = _graphs.GraphBuilder()
        failing = graph.node("StokerTestFail", image=image, message="failed inside")
        return {"result": (failing.out(0),), "expand": graph.finalize()}


class StokerTestOom(_ImageNode):
    """Fails as torch does when the memory of the GPU is full, for a batch of more images than fit."""

    REQUIRED: ClassVar[Inputs] = {"fits": ("INT", {"default": 0, "min": 0, "max": 4096, "step": 1})}

    def run(self, image: Any, fits: int) -> tuple[Any]:
        if len(image) > fits:
            raise _torch.cuda.OutOfMemoryError(
                f"Allocation on device 0 would exceed allowed memory: {len(image)} images, {fits} fit."
            )
        return (image,)


class StokerTestDenoiser(_ImageNode):
    """Lets a model give half of its image, and some of the prompt: nothing that is rounded otherwise in a batch."""

    RETURN_TYPES: ClassVar[tuple[str, ...]] = ("MODEL",)

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Inputs]:  # noqa: N802 - the server calls it so
        return {"required": {"model": ("MODEL",)}}

    def run(self, model: Any) -> tuple[Any]:
        def denoise(_apply: Any, given: Inputs) -> Any:
            token = given["c"]["c_crossattn"][:, 1, : given["input"].shape[1], None, None]
            return given["input"] * 0.5 + token.to(given["input"])

        patched = model.clone()
        patched.set_model_unet_function_wrapper(denoise)
        return (patched,)


NODE_CLASS_MAPPINGS = {
    node.__name__: node
    for node in (
        StokerTestDenoiser,
        StokerTestSleep,
        StokerTestText,
        StokerTestFail,
        StokerTestBlocker,
        StokerTestExpand,
        StokerTestExpandFail,
        StokerTestOom,
    )
}


@_server.routes.post("/fake/release")
async def _release(request: Any) -> Any:
    """Let so many nodes that wait for it go on, now or when they come."""
    _released.release(int((await request.json()).get("runs", 1)))
    return _web.Response()


def _sleep(seconds: float, blocking: bool) -> None:
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        time.sleep(left if blocking else min(left, _LOOK_AGAIN_S))  # simulated work
        if not blocking:
            _models.throw_exception_if_processing_interrupted()


def _wait_for_release(blocking: bool) -> None:
    while not _released.acquire(timeout=_LOOK_AGAIN_S):
        if not blocking:
            _models.throw_exception_if_processing_interrupted()


def _log_executions() -> None:
    """Let the server add a line with the prompt's id to a file at the start of each execution."""
    path = Path(os.environ["STOKER_TEST_EXECUTIONS"])
    execute = _execution.PromptExecutor.execute

    def logged(self: Any, prompt: Any, prompt_id: str, *rest: Any, **named: Any) -> None:
        with path.open("a", encoding="utf-8") as log:
            log.write(f"{prompt_id}\n")
        execute(self, prompt, prompt_id, *rest, **named)

    _execution.PromptExecutor.execute = logged


_log_executions()
