"""The prompts that are measured: they need no weights, and no two are the same to the server's cache."""

from typing import Any

Graph = dict[str, Any]


def trivial(color: int) -> Graph:
    """A small empty image, saved."""
    return {
        "1": {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 64, "batch_size": 1, "color": color}},
        "9": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "bench/trivial"}},
    }


def sleeping(color: int, seconds: float) -> Graph:
    """The same after a while; the server needs the tests' node pack, `tests/conformance/comfyui_nodes.py`."""
    wait = {"image": ["1", 0], "seconds": seconds, "blocking": True, "steps": 0}
    graph = trivial(color)
    graph["2"] = {"class_type": "StokerTestSleep", "inputs": wait}
    graph["9"]["inputs"]["images"] = ["2", 0]
    return graph
