"""The parameters that have one name in all workflows: what each is, and how it is known in one that has no map."""

from typing import Any, Literal, cast

from stoker_protocol.jobs import MAX_SEED, Parameter

Kind = Literal["integer", "number", "string", "boolean"]

PARAMETERS: dict[str, Parameter] = {
    parameter.name: parameter
    for parameter in (
        Parameter("prompt", "string", help="what to make"),
        Parameter("negative", "string", help="what to keep out"),
        Parameter("seed", "integer", minimum=0, maximum=MAX_SEED, help="the same seed makes the same again"),
        Parameter("steps", "integer", minimum=1, help="how often the sampler goes over it"),
        Parameter("cfg", "number", minimum=0, help="how closely to follow the prompt"),
        Parameter("sampler", "string", help="how noise is taken away"),
        Parameter("scheduler", "string", help="how much noise each step takes away"),
        Parameter("denoise", "number", minimum=0, maximum=1, help="how much is made anew: 1 is all"),
        Parameter("width", "integer", minimum=0, help="pixels"),
        Parameter("height", "integer", minimum=0, help="pixels"),
        Parameter("batch_size", "integer", minimum=1, help="pictures for each item"),
        Parameter("model", "string", help="the model file"),
        Parameter("vae", "string", help="the VAE file, instead of the model's own"),
        Parameter("lora", "string", help="the LoRA file"),
        Parameter("lora_strength", "number", help="how strongly the LoRA works"),
        Parameter("upscaler", "string", help="the model file that enlarges"),
        Parameter("image", "string", help="the picture to begin with, as blob:SHA256"),
        Parameter("mask", "string", help="the mask, as blob:SHA256"),
    )
}

_TEXTS = ("text", "text_g", "text_l", "t5xxl", "clip_l", "clip_g", "prompt")
INPUTS: dict[str, tuple[str, ...]] = {
    "prompt": _TEXTS,
    "negative": _TEXTS,
    "seed": ("seed", "noise_seed"),
    "steps": ("steps",),
    "cfg": ("cfg",),
    "sampler": ("sampler_name",),
    "scheduler": ("scheduler",),
    "denoise": ("denoise",),
    "width": ("width",),
    "height": ("height",),
    "batch_size": ("batch_size",),
    "model": ("ckpt_name", "unet_name"),
    "vae": ("vae_name",),
    "lora": ("lora_name",),
    "lora_strength": ("strength_model", "strength_clip"),
    "upscaler": ("model_name",),
    "image": ("image",),
    "mask": ("image",),
}
"""What nodes call the input that a parameter goes to."""
VALUES = ("value", "string", "text", "int", "float", "number")
"""What nodes call the value that they hand on as it is."""
TITLES: dict[str, str] = {
    **{name.replace("_", " "): name for name in PARAMETERS},
    "positive prompt": "prompt",
    "positive": "prompt",
    "negative prompt": "negative",
    "cfg scale": "cfg",
    "sampler name": "sampler",
    "checkpoint": "model",
    "input image": "image",
    "upscale model": "upscaler",
}
"""Titles of nodes, in whatever case, and the parameter that each means."""
_KINDS: dict[Any, Kind] = {bool: "boolean", int: "integer", float: "number", str: "string"}
_TYPES: dict[str, type | tuple[type, ...]] = {
    "integer": int,
    "number": (int, float),
    "string": str,
    "boolean": bool,
}


def kind_of(value: Any) -> Kind | None:
    """What type of parameter a plain value is; None: it is none."""
    return _KINDS.get(cast("Any", type(value)))


def is_of_type(value: Any, parameter: Parameter) -> bool:
    """Whether a parameter would take such a value, as far as its type goes."""
    return isinstance(value, _TYPES[parameter.type]) and isinstance(value, bool) == (parameter.type == "boolean")
