"""What a ComfyUI server says of its node classes: their inputs, and the files that loaders offer."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

import msgspec
from msgspec import Struct

LOADERS: tuple[tuple[str, str, str], ...] = (
    ("CheckpointLoaderSimple", "ckpt_name", "checkpoint"),
    ("LoraLoader", "lora_name", "lora"),
    ("LoraLoaderModelOnly", "lora_name", "lora"),
    ("VAELoader", "vae_name", "vae"),
    ("UNETLoader", "unet_name", "unet"),
    ("CLIPLoader", "clip_name", "clip"),
    ("DualCLIPLoader", "clip_name1", "clip"),
    ("DualCLIPLoader", "clip_name2", "clip"),
    ("ControlNetLoader", "control_net_name", "controlnet"),
    ("UpscaleModelLoader", "model_name", "upscaler"),
)
"""Class, input, and what kind of model it names: who shares these inputs shares what is loaded."""
TYPES: dict[str, Literal["integer", "number", "string", "boolean"]] = {
    "INT": "integer",
    "FLOAT": "number",
    "STRING": "string",
    "BOOLEAN": "boolean",
    "COMBO": "string",
}
"""The types of inputs that take plain values, and what they are called here."""
_FILES = ("image_upload", "video_upload", "audio_upload", "file_upload")


class _NodeClass(Struct):
    input: dict[str, dict[str, Any]] = {}
    output: list[Any] = []
    output_node: bool = False
    python_module: str = "nodes"


@dataclass(frozen=True, slots=True)
class Input:
    """One input of a class. `type` is `INT`, `MODEL` ..., or `COMBO` with its `choices`; `options` hold the bounds."""

    type: str
    choices: list[Any] | None
    options: Mapping[str, Any]
    is_required: bool

    @property
    def is_file(self) -> bool:
        """Whether it names a file that may be sent."""
        return any(self.options.get(flag) for flag in _FILES)

    @property
    def is_needed(self) -> bool:
        """Whether the server refuses a node without it. Some inputs stand for others, called `NAME.OTHER`, or none."""
        stands_for_others = self.type.startswith("COMFY_") and self.type != "COMFY_MATCHTYPE_V3"
        template: Any = self.options.get("template")
        is_list = isinstance(template, dict) and bool(cast("dict[str, Any]", template).get("min"))
        return self.is_required and (is_list or not stands_for_others)


@dataclass(frozen=True, slots=True)
class NodeClass:
    """One class of nodes; `outputs` are the types of its outputs by slot."""

    inputs: Mapping[str, Input]
    outputs: tuple[str, ...]
    is_output: bool
    module: str


class ObjectInfo:
    """All classes of a server, by name."""

    def __init__(self, classes: Mapping[str, NodeClass]) -> None:
        self.classes = classes

    def choices(self, class_type: str, name: str) -> list[Any]:
        """What an input may be chosen from; nothing where that is not known."""
        node = self.classes.get(class_type)
        found = node.inputs.get(name) if node else None
        return found.choices or [] if found else []

    def models(self) -> dict[str, list[str]]:
        """The model files by kind."""
        found: dict[str, dict[str, None]] = {}
        for class_type, name, kind in LOADERS:
            found.setdefault(kind, {}).update(dict.fromkeys(map(str, self.choices(class_type, name))))
        return {kind: list(files) for kind, files in found.items()}

    def node_packs(self) -> list[str]:
        """The packs of nodes that somebody has added to the server."""
        modules = {node.module for node in self.classes.values()}
        return sorted(module.removeprefix("custom_nodes.") for module in modules if module.startswith("custom_nodes."))


def parse(body: bytes) -> ObjectInfo:
    """The answer to `GET /object_info`. Raises msgspec.DecodeError."""
    raw = msgspec.json.decode(body, type=dict[str, _NodeClass])
    return ObjectInfo({name: _node_class(node) for name, node in raw.items()})


def _node_class(node: _NodeClass) -> NodeClass:
    inputs = dict(_inputs(node.input))
    outputs = tuple(output if isinstance(output, str) else "COMBO" for output in node.output)
    return NodeClass(inputs, outputs, node.output_node, node.python_module)


def _inputs(groups: Mapping[str, Mapping[str, Any]]) -> Iterable[tuple[str, Input]]:
    for group in ("required", "optional"):
        for name, said in groups.get(group, {}).items():
            if isinstance(said, list) and said:
                yield name, _input(cast("list[Any]", said), is_required=group == "required")


def _input(said: list[Any], *, is_required: bool) -> Input:
    """`[type, options]`, where a list of choices may stand for the type, or among the options (newer servers)."""
    options = cast("dict[str, Any]", said[1]) if len(said) > 1 and isinstance(said[1], dict) else {}
    if isinstance(said[0], list):
        return Input("COMBO", cast("list[Any]", said[0]), options, is_required)
    listed = options.get("options")
    choices = cast("list[Any]", listed) if said[0] == "COMBO" and isinstance(listed, list) else None
    return Input(str(said[0]), choices, options, is_required)
