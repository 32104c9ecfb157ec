"""What ComfyUI servers say of their node classes, and jobs to try with it."""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any, cast

import msgspec
from msgspec import UNSET

from stoker_daemon.recipes import object_info
from stoker_protocol.codec import pack
from stoker_protocol.requests import ItemSpec, Submit

HERE = Path(__file__).parent
_RECORDED = json.loads((HERE.parents[1] / "fakes/comfyui/object_info.json").read_bytes())
_MORE = json.loads((HERE / "object_info.json").read_bytes())
INFO = object_info.parse(msgspec.json.encode({**_RECORDED, **_MORE}))
"""Recorded from ComfyUI 0.12.1; the classes that those of 0.33.0 add, many of the newer kind, lie beside this."""

TXT2IMG: dict[str, Any] = {
    "3": {
        "class_type": "KSampler",
        "inputs": {
            "seed": 1,
            "steps": 4,
            "cfg": 4.0,
            "sampler_name": "euler",
            "scheduler": "normal",
            "denoise": 1.0,
            "model": ["4", 0],
            "positive": ["6", 0],
            "negative": ["7", 0],
            "latent_image": ["5", 0],
        },
    },
    "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "random_sd15.safetensors"}},
    "5": {"class_type": "EmptyLatentImage", "inputs": {"width": 128, "height": 96, "batch_size": 1}},
    "6": {"class_type": "CLIPTextEncode", "inputs": {"text": "a red cube", "clip": ["4", 1]}},
    "7": {"class_type": "CLIPTextEncode", "inputs": {"text": "blurry", "clip": ["4", 1]}},
    "8": {"class_type": "VAEDecode", "inputs": {"samples": ["3", 0], "vae": ["4", 2]}},
    "9": {"class_type": "SaveImage", "inputs": {"filename_prefix": "t", "images": ["8", 0]}},
}


def graph(**nodes: Any) -> dict[str, Any]:
    """The workflow above with other inputs for some nodes, called `n3` and so on, further nodes, or without some.

    A node is given as a map of inputs, as a pair of class and inputs, or as None.
    """
    changed = deepcopy(TXT2IMG)
    for name, node in nodes.items():
        node_id = node_called(name)
        if node is None:
            del changed[node_id]
        elif isinstance(node, tuple):
            class_type, inputs = cast("tuple[str, dict[str, Any]]", node)
            changed[node_id] = {"class_type": class_type, "inputs": inputs}
        else:
            changed[node_id]["inputs"] |= node
    return changed


def node_called(name: str) -> str:
    """The id of a node that is named as an argument of a function."""
    return name.removeprefix("n") if name[1:].isdigit() else name


def job(*items: dict[str, Any] | None, workflow: object = UNSET, **given: Any) -> Submit:
    """A job with items of these parameters, or one that says nothing; `params` and `workflow` are plain maps."""
    given["params"] = pack(given["params"]) if "params" in given else UNSET
    specs = [ItemSpec() if params is None else ItemSpec(params=pack(params)) for params in items or [None]]
    return Submit(id="1", job_id="j", items=specs, workflow=UNSET if workflow is UNSET else pack(workflow), **given)
