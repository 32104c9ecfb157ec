"""Which node classes the fake has, in the form of `/object_info`: real ones, and those of the tests' node pack."""

import copy
import json
from pathlib import Path
from typing import Any

from tests.fakes.comfyui.files import Folders
from tests.fakes.comfyui.options import Options
from tests.fakes.comfyui.stoker_nodes import MOST_ITEMS
from tests.fakes.comfyui.stoker_nodes import NAMES as PACK

Inputs = dict[str, list[Any]]

_RECORDED: dict[str, Any] = json.loads(Path(__file__).with_name("object_info.json").read_text(encoding="utf-8"))

_IMAGE: list[Any] = ["IMAGE"]
_LATENT: list[Any] = ["LATENT"]
_MASK: list[Any] = ["MASK"]
_HIDDEN: Inputs = {"prompt": ["PROMPT"], "extra_pnginfo": ["EXTRA_PNGINFO"]}


def _number(kind: str, default: float, low: float, high: float, step: float = 1) -> list[Any]:
    return [kind, {"default": default, "min": low, "max": high, "step": step}]


def _text(default: str = "", **more: Any) -> list[Any]:
    return ["STRING", {"default": default, **more}]


def _combo(*options: str) -> list[Any]:
    """A choice as newer nodes declare it; older ones put the list where the type stands."""
    return ["COMBO", {"multiselect": False, "options": list(options)}]


def _node(
    name: str,
    required: Inputs,
    *outputs: str,
    optional: Inputs | None = None,
    saves: bool = False,
    module: str = "nodes",
    category: str = "image",
) -> dict[str, Any]:
    inputs = {"required": required}
    if optional is not None:
        inputs["optional"] = optional
    if saves:
        inputs["hidden"] = _HIDDEN
    return {
        "input": inputs,
        "input_order": {part: list(named) for part, named in inputs.items()},
        "is_input_list": False,
        "output": list(outputs),
        "output_is_list": [False] * len(outputs),
        "output_name": list(outputs),
        "name": name,
        "display_name": name,
        "description": "",
        "python_module": module,
        "category": category,
        "output_node": saves,
        "search_aliases": [],
    }


def _video(required: Inputs) -> Inputs:
    return {"images": _IMAGE, "filename_prefix": _text("ComfyUI"), **required}


_STRENGTH = _number("FLOAT", 1.0, -100.0, 100.0, 0.01)
_FPS = _number("FLOAT", 6.0, 0.01, 1000.0, 0.01)
_LATENT_METHODS = [["nearest-exact", "bilinear", "area", "bicubic", "bislerp"]]
_IMAGE_METHODS = [["nearest-exact", "bilinear", "area", "bicubic", "lanczos"]]

_MORE: list[dict[str, Any]] = [
    _node(
        "LoadImageMask", {"image": [[], {"image_upload": True}], "channel": [["alpha", "red", "green", "blue"]]}, "MASK"
    ),
    _node(
        "VAEEncodeForInpaint",
        {"pixels": _IMAGE, "vae": ["VAE"], "mask": _MASK, "grow_mask_by": _number("INT", 6, 0, 64)},
        "LATENT",
    ),
    _node("SetLatentNoiseMask", {"samples": _LATENT, "mask": _MASK}, "LATENT"),
    _node(
        "ImageScaleBy",
        {"image": _IMAGE, "upscale_method": _IMAGE_METHODS, "scale_by": _number("FLOAT", 1.0, 0.01, 8.0, 0.01)},
        "IMAGE",
    ),
    _node(
        "LatentUpscaleBy",
        {"samples": _LATENT, "upscale_method": _LATENT_METHODS, "scale_by": _number("FLOAT", 1.5, 0.01, 8.0, 0.01)},
        "LATENT",
    ),
    _node(
        "ImageCompositeMasked",
        {
            "destination": _IMAGE,
            "source": _IMAGE,
            "x": _number("INT", 0, 0, 16384),
            "y": _number("INT", 0, 0, 16384),
            "resize_source": ["BOOLEAN", {"default": False}],
        },
        "IMAGE",
        optional={"mask": _MASK},
        module="comfy_extras.nodes_mask",
    ),
    _node(
        "ImageFromBatch",
        {"image": _IMAGE, "batch_index": _number("INT", 0, 0, 4095), "length": _number("INT", 1, 1, 4096)},
        "IMAGE",
        module="comfy_extras.nodes_images",
        category="image/batch",
    ),
    _node("LoraLoaderModelOnly", {"model": ["MODEL"], "lora_name": [[]], "strength_model": _STRENGTH}, "MODEL"),
    _node("UpscaleModelLoader", {"model_name": _combo()}, "UPSCALE_MODEL", module="comfy_extras.nodes_upscale_model"),
    _node("ImageUpscaleWithModel", {"upscale_model": ["UPSCALE_MODEL"], "image": _IMAGE}, "IMAGE"),
    _node(
        "SaveAnimatedWEBP",
        _video(
            {
                "fps": _FPS,
                "lossless": ["BOOLEAN", {"default": True}],
                "quality": _number("INT", 80, 0, 100),
                "method": _combo("default", "fastest", "slowest"),
            }
        ),
        saves=True,
        module="comfy_extras.nodes_images",
    ),
    _node(
        "SaveAnimatedPNG",
        _video({"fps": _FPS, "compress_level": _number("INT", 4, 0, 9)}),
        saves=True,
        module="comfy_extras.nodes_images",
    ),
    _node(
        "SaveWEBM",
        _video(
            {
                "codec": _combo("vp9", "av1"),
                "fps": _number("FLOAT", 24.0, 0.01, 1000.0, 0.01),
                "crf": _number("FLOAT", 32.0, 0, 63.0),
            }
        ),
        saves=True,
        module="comfy_extras.nodes_video",
    ),
    _node(
        "CreateVideo",
        {"images": _IMAGE, "fps": _number("FLOAT", 30.0, 1.0, 120.0)},
        "VIDEO",
        optional={"audio": ["AUDIO"]},
        module="comfy_extras.nodes_video",
    ),
    _node(
        "SaveVideo",
        {
            "video": ["VIDEO"],
            "filename_prefix": _text("video/ComfyUI"),
            "format": _combo("auto", "mp4"),
            "codec": _combo("auto", "h264"),
        },
        saves=True,
        module="comfy_extras.nodes_video",
    ),
    _node(
        "EmptyAudio",
        {
            "duration": _number("FLOAT", 60.0, 0.0, 2**64 - 1, 0.01),
            "sample_rate": _number("INT", 44100, 1, 192000),
            "channels": _number("INT", 2, 1, 2),
        },
        "AUDIO",
        module="comfy_extras.nodes_audio",
    ),
    _node(
        "SaveAudio",
        {"audio": ["AUDIO"], "filename_prefix": _text("audio/ComfyUI")},
        saves=True,
        module="comfy_extras.nodes_audio",
    ),
]

_FOR_TESTS = [
    # Passes the image on after so many seconds, -1: when it is released (POST /fake/release). `blocking` hears no
    # interrupt meanwhile; `steps` are told as progress.
    _node(
        "StokerTestSleep",
        {
            "image": _IMAGE,
            "seconds": _number("FLOAT", 0.05, -1.0, 3600.0, 0.001),
            "blocking": ["BOOLEAN", {"default": False}],
        },
        "IMAGE",
        optional={"steps": _number("INT", 0, 0, 10000)},
        category="stoker/test",
    ),
    # Sends the text as a text frame, and gives it as its second output.
    _node(
        "StokerTestText", {"image": _IMAGE, "text": _text(multiline=True)}, "IMAGE", "STRING", category="stoker/test"
    ),
    # Raises RuntimeError(message).
    _node("StokerTestFail", {"image": _IMAGE, "message": _text("failed on purpose")}, "IMAGE", category="stoker/test"),
    # Blocks whatever uses its output: with the message, or silently without one.
    _node("StokerTestBlocker", {"image": _IMAGE, "message": _text()}, "IMAGE", category="stoker/test"),
    # Becomes n nodes ImageInvert (ids <id>.0.0.1 ...), and one PreviewImage of the last (<id>.0.0.<n+1>).
    _node("StokerTestExpand", {"image": _IMAGE, "n": _number("INT", 2, 1, 100)}, "IMAGE", category="stoker/test"),
    # Becomes one node that fails (<id>.0.0.1).
    _node("StokerTestExpandFail", {"image": _IMAGE}, "IMAGE", category="stoker/test"),
    # Raises the out-of-memory error of torch for a batch of more images than fit.
    _node("StokerTestOom", {"image": _IMAGE, "fits": _number("INT", 0, 0, 4096)}, "IMAGE", category="stoker/test"),
]

_PACK = [
    _node(
        "StokerItemNoise",
        {"model": ["MODEL"], "seeds": _text("0")},
        "MODEL",
        optional={},
        module="custom_nodes.stoker_nodes",
        category="stoker",
    ),
    _node(
        "StokerItemPrompts",
        {"model": ["MODEL"], "item_0": ["CONDITIONING"]},
        "CONDITIONING",
        optional={f"item_{number}": ["CONDITIONING"] for number in range(1, MOST_ITEMS)},
        module="custom_nodes.stoker_nodes",
        category="stoker",
    ),
]

_CLASSES: dict[str, dict[str, Any]] = _RECORDED | {each["name"]: each for each in [*_MORE, *_FOR_TESTS, *_PACK]}

_MODELS_OF = {
    ("CheckpointLoaderSimple", "ckpt_name"): "checkpoints",
    ("LoraLoader", "lora_name"): "loras",
    ("LoraLoaderModelOnly", "lora_name"): "loras",
    ("VAELoader", "vae_name"): "vae",
    ("ControlNetLoader", "control_net_name"): "controlnet",
    ("UpscaleModelLoader", "model_name"): "upscale_models",
}

# In newer servers a choice brings inputs of its own; prompts with plain values are taken as well.
_VIDEO_CODEC: list[Any] = [
    "COMFY_DYNAMICCOMBO_V3",
    {"options": [{"key": key, "inputs": {"required": {}}} for key in ("auto", "h264")]},
]
_VIDEO_FORMAT: list[Any] = [
    "COMFY_DYNAMICCOMBO_V3",
    {"options": [{"key": key, "inputs": {"required": {"codec": _VIDEO_CODEC}}} for key in ("auto", "mp4")]},
]

_SAVED = {
    "SaveImage": "images",
    "PreviewImage": "images",
    "SaveAnimatedWEBP": "images",
    "SaveAnimatedPNG": "images",
    "SaveWEBM": "images",
    "SaveVideo": "video",
    "SaveAudio": "audio",
}


class Nodes:
    """The node classes, with the lists of files as they are on the disk now."""

    def __init__(self, folders: Folders, options: Options) -> None:
        self.folders = folders
        self._options = options

    def __contains__(self, name: object) -> bool:
        return name in self._names()

    def __getitem__(self, name: str) -> dict[str, Any]:
        known = copy.deepcopy(_CLASSES[name])
        required = known["input"]["required"]
        for (owner, field), folder in _MODELS_OF.items():
            if owner == name:
                _offer(required[field], self.folders.model_names(folder))
        if name == "VAELoader":
            required["vae_name"][0].append("pixel_space")
        if name in ("LoadImage", "LoadImageMask"):
            inputs = self.folders.by_type["input"]
            _offer(required["image"], sorted(path.name for path in inputs.iterdir() if path.is_file()))
        if name == "SaveVideo" and self._options.new:
            required["format"] = _VIDEO_FORMAT
            del required["codec"]
            known["input"]["optional"] = {"codec": _VIDEO_CODEC}
        if passed_on := self.passed_on(name):
            kind = required[passed_on][0]
            known |= {"output": [kind], "output_is_list": [False], "output_name": [kind]}
        return known

    def all(self) -> dict[str, dict[str, Any]]:
        return {name: self[name] for name in self._names()}

    def _names(self) -> list[str]:
        return [name for name in _CLASSES if self._options.stoker_nodes or name not in PACK]

    def passed_on(self, name: str) -> str | None:
        """The input that a node also gives as its output, since nodes that save do so."""
        return _SAVED.get(name) if self._options.new else None

    def is_output(self, name: str) -> bool:
        return bool(_CLASSES[name]["output_node"])


def choices(declared: list[Any]) -> list[Any] | None:
    """What may be chosen for an input, if it is a choice."""
    if declared[0] == "COMBO":
        return declared[1]["options"]
    return None if isinstance(declared[0], str) else declared[0]


def _offer(declared: list[Any], names: list[str]) -> None:
    offered = choices(declared)
    assert offered is not None
    offered[:] = names
