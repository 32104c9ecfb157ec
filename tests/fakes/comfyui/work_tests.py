"""What the nodes do that were made for tests: sleep, talk, fail, block, expand and run out of memory."""

import time
from collections.abc import Callable
from typing import Any

from tests.fakes.comfyui.work import Blocker, Result, Work
from tests.fakes.comfyui.work_images import Batch


class OutOfMemoryError(RuntimeError):
    """Stands for the error of the same name that torch raises."""


OutOfMemoryError.__module__ = "torch"


def _sleep(work: Work, image: Batch, seconds: float, blocking: bool, steps: int = 0) -> Result:
    if seconds < 0:
        work.gate.hold(blocking=blocking)
        return Result((image,))
    for number in range(1, (steps or 1) + 1):
        if blocking:
            time.sleep(seconds / (steps or 1))  # simulated work
        else:
            work.gate.pause(seconds / (steps or 1))
        if steps:
            work.step(number, steps)
    return Result((image,))


def _text(work: Work, image: Batch, text: str) -> Result:
    work.tell_text(text)
    return Result((image, text))


def _fail(_: Work, image: Batch, message: str) -> Result:
    del image
    raise RuntimeError(message)


def _block(_: Work, image: Batch, message: str) -> Result:
    del image
    return Result((Blocker(message or None),))


def _expand(work: Work, image: Batch, n: int) -> Result:
    del image
    ids = [f"{work.node_id}.0.0.{number}" for number in range(1, n + 2)]
    sources = [_source(work), *([each, 0] for each in ids)]
    nodes = {
        node_id: {"class_type": "ImageInvert", "inputs": {"image": source}}
        for node_id, source in zip(ids[:-1], sources, strict=False)
    }
    nodes[ids[-1]] = {"class_type": "PreviewImage", "inputs": {"images": [ids[-2], 0]}}
    return Result(([ids[-2], 0],), nodes=nodes)


def _expand_fail(work: Work, image: Batch) -> Result:
    del image
    node_id = f"{work.node_id}.0.0.1"
    inputs = {"image": _source(work), "message": "failed inside"}
    return Result(([node_id, 0],), nodes={node_id: {"class_type": "StokerTestFail", "inputs": inputs}})


def _oom(_: Work, image: Batch, fits: int) -> Result:
    if len(image) > fits:
        raise OutOfMemoryError(f"Allocation on device 0 would exceed allowed memory: {len(image)} images, {fits} fit.")
    return Result((image,))


DOES: dict[str, Callable[..., Result]] = {
    "StokerTestSleep": _sleep,
    "StokerTestText": _text,
    "StokerTestFail": _fail,
    "StokerTestBlocker": _block,
    "StokerTestExpand": _expand,
    "StokerTestExpandFail": _expand_fail,
    "StokerTestOom": _oom,
}


def _source(work: Work) -> list[Any]:
    return work.graph[work.node_id]["inputs"]["image"]
