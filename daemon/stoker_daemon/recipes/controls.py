"""Which optional inputs of a workflow are active: what takes memory and time beside the bare model."""

from stoker_daemon.recipes.graph import Graph

CONTROLS = {
    "LoraLoader": "lora",
    "LoraLoaderModelOnly": "lora",
    "ControlNetApply": "controlnet",
    "ControlNetApplyAdvanced": "controlnet",
    "ControlNetApplySD3": "controlnet",
    "ControlNetInpaintingAliMamaApply": "controlnet",
    "InpaintModelConditioning": "mask",
    "SetLatentNoiseMask": "mask",
    "VAEEncodeForInpaint": "mask",
    "VAEEncode": "image",
    "StyleModelApply": "style",
    "unCLIPConditioning": "style",
}
"""Nodes of ComfyUI that make use of one."""


def controls_of(graph: Graph) -> list[str]:
    """What each such node is for, in order: `["lora", "lora", "mask"]`."""
    return sorted(CONTROLS[node["class_type"]] for node in graph.values() if node["class_type"] in CONTROLS)
