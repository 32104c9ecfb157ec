"""Which nodes of a workflow can make several items at once, and which must be there once for each of them."""

from collections.abc import Collection, Iterator
from graphlib import CycleError, TopologicalSorter
from typing import Any, Literal

from stoker_daemon.recipes.graph import Graph, is_link, links, upstream
from stoker_protocol.jobs import Level

Kind = Literal["shared", "each", "batch"]
"""A node serves all items as it is, is there once for each, or makes a batch of one image for each."""

SAMPLERS = {"KSampler": "seed", "KSamplerAdvanced": "noise_seed"}
"""They make a batch; where their seed is."""

SEEDS = {**SAMPLERS, "RandomNoise": "noise_seed", "SamplerCustom": "noise_seed"}
TEXTS = {
    "CLIPTextEncode": ("text",),
    "CLIPTextEncodeFlux": ("clip_l", "t5xxl"),
    "CLIPTextEncodeSD3": ("clip_l", "clip_g", "t5xxl"),
    "CLIPTextEncodeSDXL": ("text_g", "text_l"),
    "CLIPTextEncodeSDXLRefiner": ("text",),
}
CONDITIONS = frozenset((*TEXTS, "ConditioningSetTimestepRange", "ConditioningZeroOut", "FluxGuidance"))
"""They give tensors, which can be put together, and what is the same for all items."""

QUIET = frozenset(
    (
        *("ddim", "deis", "dpm_2", "dpm_fast", "dpmpp_2m", "dpmpp_2m_cfg_pp", "euler", "euler_cfg_pp", "exp_heun_2_x0"),
        *("gradient_estimation", "gradient_estimation_cfg_pp", "heun", "heunpp2", "ipndm", "ipndm_v", "lms"),
        *("res_multistep", "res_multistep_cfg_pp", "uni_pc", "uni_pc_bh2"),
    )
)
"""All their noise is there at the start."""
ALGORITHMS = QUIET | frozenset(
    (
        *("ddpm", "dpm_2_ancestral", "dpmpp_2m_sde", "dpmpp_2m_sde_gpu", "dpmpp_2m_sde_heun", "dpmpp_2m_sde_heun_gpu"),
        *("dpmpp_2s_ancestral", "dpmpp_2s_ancestral_cfg_pp", "dpmpp_3m_sde", "dpmpp_3m_sde_gpu", "dpmpp_sde"),
        *("dpmpp_sde_gpu", "er_sde", "euler_ancestral", "euler_ancestral_cfg_pp", "exp_heun_2_x0_sde", "lcm"),
        *("res_multistep_ancestral", "res_multistep_ancestral_cfg_pp", "sa_solver", "sa_solver_pece"),
        *("seeds_2", "seeds_3"),
    )
)
"""All that is known of ComfyUI's but dpm_adaptive, whose steps depend on all images of a batch."""

EMPTY = frozenset(("EmptyLatentImage", "EmptySD3LatentImage"))
STARTS = EMPTY | {"SetLatentNoiseMask", "VAEEncode", "VAEEncodeForInpaint"}
"""What a sampler may begin with: still images."""

MASKING = frozenset(("SetLatentNoiseMask", "VAEEncodeForInpaint"))
ONE_BY_ONE = {
    "ImageInvert": "IMAGE",
    "ImageScale": "IMAGE",
    "ImageScaleBy": "IMAGE",
    "ImageUpscaleWithModel": "IMAGE",
    "LatentUpscale": "LATENT",
    "LatentUpscaleBy": "LATENT",
    "VAEDecode": "IMAGE",
    "VAEDecodeTiled": "IMAGE",
    "VAEEncode": "LATENT",
}
"""They make of an image in a batch what they make of it alone; what they give."""

ENDS = frozenset(("PreviewAny", "PreviewImage", "SaveImage"))
"""They show texts, or files that tell of their item alone once a text in them is replaced."""


class Unmergeable(Exception):
    """Items of this workflow can't share a run; the message is the reason."""


def free_inputs(node: Any, level: Level) -> list[str]:
    """The inputs of a node in which items of one run may differ: file names and, but in a series, seeds and texts."""
    names = ["filename_prefix"]
    if level != "series":
        names += [SEEDS.get(node["class_type"], ""), *TEXTS.get(node["class_type"], ())]
    return [name for name in names if name in node["inputs"] and not is_link(node["inputs"][name])]


def plan(graph: Graph, level: Level, differing: Collection[str]) -> dict[str, Kind]:
    """The kind of each node, in an order in which they can run. `differing`: nodes with inputs in which items differ.

    Raises:
        Unmergeable: The items can't share a run at this level.
    """
    kinds: dict[str, Kind] = {}
    read = {link[0] for node in graph.values() for _, link in links(node)}
    for node_id in _in_order(graph):
        is_end = node_id not in read
        kinds[node_id] = _kind(graph, node_id, kinds, level, is_own=is_end or node_id in differing, is_end=is_end)
    if level != "exact" and "batch" not in kinds.values():
        raise Unmergeable(f"it has no sampler that can make several items at once ({', '.join(SAMPLERS)})")
    return kinds


def _in_order(graph: Graph) -> Iterator[str]:
    sources = {node_id: [link[0] for _, link in links(node)] for node_id, node in graph.items()}
    if any(source not in graph for found in sources.values() for source in found):
        raise Unmergeable("an input comes from a node that is not there")
    try:
        return iter(list(TopologicalSorter(sources).static_order()))
    except CycleError:
        raise Unmergeable("its nodes wait for each other") from None


def _kind(graph: Graph, node_id: str, kinds: dict[str, Kind], level: Level, *, is_own: bool, is_end: bool) -> Kind:
    node = graph[node_id]
    sources = {kinds[link[0]] for _, link in links(node)}
    if level != "exact" and node["class_type"] in SAMPLERS:
        _check_sampler(graph, node_id, kinds, level)
        return "batch"
    if "batch" in sources:
        if node["class_type"] in ONE_BY_ONE and "each" not in sources:
            return "batch"
        _require_images(graph, node_id, kinds)
    if is_end and level != "exact" and sources - {"shared"} and node["class_type"] not in ENDS:
        raise Unmergeable(f"what {_said(graph, node_id)} makes can't be said to be of one item")
    return "each" if is_own or sources - {"shared"} else "shared"


def _require_images(graph: Graph, node_id: str, kinds: dict[str, Kind]) -> None:
    """A batch of images can be taken apart again; one of latent images is followed only where that is not needed."""
    for _, link in links(graph[node_id]):
        if kinds[link[0]] == "batch" and ONE_BY_ONE.get(graph[link[0]]["class_type"]) != "IMAGE":
            raise Unmergeable(f"{_said(graph, node_id)} can't take latent images of several items")


def _check_sampler(graph: Graph, node_id: str, kinds: dict[str, Kind], level: Level) -> None:
    inputs = graph[node_id]["inputs"]
    name, seed = inputs.get("sampler_name"), inputs.get(SAMPLERS[graph[node_id]["class_type"]])
    if not isinstance(name, str) or name not in ALGORITHMS:
        raise Unmergeable(f"the sampler {name!r:.80} can't make several items at once")
    if type(seed) is not int:
        raise Unmergeable(f"the seed of {_said(graph, node_id)} is no plain number")
    linked = dict(links(graph[node_id]))
    if not {"model", "positive", "negative", "latent_image"} <= linked.keys():
        raise Unmergeable(f"{_said(graph, node_id)} lacks an input")
    for prompt in (linked.pop("positive")[0], linked.pop("negative")[0]):
        _check_prompt(graph, prompt, kinds)
    start = linked.pop("latent_image")[0]
    if any(kinds[link[0]] != "shared" for link in linked.values()) or kinds[start] == "each":
        raise Unmergeable(f"{_said(graph, node_id)} gets more of each item than its seed and its prompts")
    if kinds[start] == "shared":
        _check_start(graph, start)
    if name == "ddim" and any(graph[before]["class_type"] in MASKING for before in upstream(graph, start)):
        raise Unmergeable("the sampler 'ddim' can't make several items at once with a mask")
    if level == "series":
        _check_series(graph, start, kinds)


def _check_prompt(graph: Graph, prompt: str, kinds: dict[str, Kind]) -> None:
    for node_id in upstream(graph, prompt):
        if kinds[node_id] != "shared" and graph[node_id]["class_type"] not in CONDITIONS:
            raise Unmergeable(f"prompts that went through {_said(graph, node_id)} can't be put together")


def _check_start(graph: Graph, start: str) -> None:
    if graph[start]["class_type"] not in STARTS:
        raise Unmergeable(f"{_said(graph, start)} may begin with more than one still image")
    if any(graph[before]["inputs"].get("batch_size", 1) != 1 for before in upstream(graph, start)):
        raise Unmergeable("an item makes several images already")


def _check_series(graph: Graph, start: str, kinds: dict[str, Kind]) -> None:
    """Latent images know their place in a series from the empty one on, as long as they stay latent images."""
    if kinds[start] == "shared" and graph[start]["class_type"] not in EMPTY:
        raise Unmergeable("a series begins with an empty image")
    if kinds[start] == "batch" and any(graph[one]["class_type"] == "VAEEncode" for one in upstream(graph, start)):
        raise Unmergeable("in a series no sampler can go on from a picture")


def _said(graph: Graph, node_id: str) -> str:
    return f"node {node_id:.80} ({graph[node_id]['class_type']:.80})"
