"""Several items in one sampler run on a real ComfyUI: each gets what it gets alone."""

import json
import math
import struct
from array import array
from copy import deepcopy
from io import BytesIO
from typing import Any

import pytest
from PIL import Image, ImageChops
from tests.conformance.comfyui_client import Client, Graph, in_loop, model_graph, new_client, new_prefix, view
from tests.conformance.conftest import REAL_URL

from stoker_daemon.recipes.batching import ALGORITHMS
from stoker_daemon.recipes.merging import NODE_PACK, merge

PROMPTS = ["a red dragon", "a tiny owl on a branch", "castles " * 100]
SEEDS = [7, (1 << 40) + 5, (1 << 63) - 1]
SAMPLERS = ["euler", "euler_ancestral", "dpmpp_2m", "dpmpp_sde"]
ROUNDING = 1e-4
"""What a batch may change of a latent image, as a part of its largest value."""
SHADES = 2
"""What a batch may change of a pixel, of 255."""


@pytest.fixture(scope="module")
def url() -> str:
    """A real server that has the node pack."""
    assert REAL_URL is not None
    return REAL_URL


@pytest.mark.parametrize("third", range(3))
@in_loop
async def test_items_have_the_noise_that_they_have_alone(url: str, third: int) -> None:
    """We expect of every sampler the same latent images bit for bit where the model itself rounds nothing."""
    async with Client(url) as client:
        described = await client.get("/object_info/KSampler")
        there = described["KSampler"]["input"]["required"]["sampler_name"][0]
        assert len(ALGORITHMS.intersection(there)) > 40
        for name in sorted(ALGORITHMS.intersection(there))[third::3]:
            graphs = await _items(client, name, denoiser=True)
            alone = await _latents(client, merge(graphs, "exact").graph, "3#0", "3#1", "3#2")
            (together,) = await _latents(client, merge(graphs).graph, "3")
            assert [part.tobytes() for part in _parts(together)] == [latent.tobytes() for latent in alone], name
            assert len({latent.tobytes() for latent in alone}) == len(graphs)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("sampler", SAMPLERS)
@in_loop
async def test_items_become_the_same_but_for_rounding(url: str, sampler: str, masked: bool) -> None:
    """We expect latent images and pictures of a real model that differ from those made alone by rounding only."""
    async with Client(url) as client:
        graphs = [_masked(graph) if masked else graph for graph in await _items(client, sampler)]
        merged = merge(graphs)
        pictures = await _pictures(client, merged.graph)
        assert sorted(merged.outputs.values()) == [(item, "9") for item in range(len(graphs))]
        (together,) = await _latents(client, merged.graph, "3")
        latents = _parts(together)
        for own, (item, node) in merged.outputs.items():
            (alone,) = await _latents(client, graphs[item], "3")
            assert _furthest(latents[item], alone) <= ROUNDING * max(map(abs, alone))
            assert _furthest(latents[item], latents[item - 1]) > 1000 * ROUNDING * max(map(abs, alone))
            (picture,) = (await _pictures(client, graphs[item]))[node]
            assert _shades(pictures[own][0], picture) <= SHADES


@in_loop
async def test_items_beside_each_other_are_exactly_the_same(url: str) -> None:
    """We expect at the level `exact` the pixels that each item has alone."""
    async with Client(url) as client:
        graphs = await _items(client, "euler_ancestral")
        merged = merge(graphs, "exact")
        pictures = await _pictures(client, merged.graph)
        for own, (item, node) in merged.outputs.items():
            assert _shades(pictures[own][0], (await _pictures(client, graphs[item]))[node][0]) == 0


@in_loop
async def test_a_series_is_a_batch_of_the_server(url: str) -> None:
    """We expect of a series the pictures of ComfyUI's own batch, in its order."""
    async with Client(url) as client:
        (graph, *_) = await _items(client, "euler_ancestral")
        merged = merge([graph] * 3, "series")
        pictures = await _pictures(client, merged.graph)
        own = deepcopy(graph)
        own["5"]["inputs"]["batch_size"] = 3
        batch = (await _pictures(client, own))["9"]
        assert [_shades(pictures[f"9#{item}"][0], batch[item]) for item in range(3)] == [0, 0, 0]


@in_loop
async def test_what_cannot_share_a_run_is_refused_by_the_nodes(url: str) -> None:
    """We expect that a graph that was put together wrongly fails with the reason, and makes nothing."""
    async with Client(url) as client:
        merged = merge(await _items(client, "euler")).graph
        adaptive, fewer = deepcopy(merged), deepcopy(merged)
        adaptive["3"]["inputs"]["sampler_name"] = "dpm_adaptive"
        fewer["3#noise"]["inputs"]["seeds"] = "1,2"
        assert "the sampler dpm_adaptive can't make several items" in await _failure(client, adaptive)
        assert "2 items need as many latent images, not 3" in await _failure(client, fewer)


async def _items(client: Client, sampler: str, *, denoiser: bool = False) -> list[Graph]:
    missing = [name for name in NODE_PACK if not await client.get(f"/object_info/{name}")]
    if missing:
        pytest.skip(f"the server lacks {missing}: stokerd nodes install")
    (checkpoint, *_) = await client.get("/models/checkpoints")
    graph = model_graph(checkpoint, steps=4)
    graph["3"]["inputs"] |= {"sampler_name": sampler, "scheduler": "karras"}
    if denoiser:
        graph["10"] = {"class_type": "StokerTestDenoiser", "inputs": {"model": ["4", 0]}}
        graph["3"]["inputs"]["model"] = ["10", 0]
    return [_item(graph, *given) for given in zip(PROMPTS, SEEDS, strict=True)]


def _item(graph: Graph, prompt: str, seed: int) -> Graph:
    own = deepcopy(graph)
    own["3"]["inputs"]["seed"] = seed
    own["6"]["inputs"]["text"] = prompt
    own["7"]["inputs"]["text"] = f"no {prompt}"
    return own


def _masked(graph: Graph) -> Graph:
    """The same, but half of a grey image is made anew."""
    size = {"width": 64, "height": 64}
    encoding = {"pixels": ["grey", 0], "vae": ["4", 2]}
    masking = {"samples": ["encoded", 0], "mask": ["half", 0]}
    small, solid = {"value": 0.0, **size, "width": 32}, {"value": 1.0, **size}
    placing = {"destination": ["white", 0], "source": ["black", 0], "x": 0, "y": 0, "operation": "multiply"}
    return {
        **graph,
        "3": {**graph["3"], "inputs": {**graph["3"]["inputs"], "latent_image": ["5", 0], "denoise": 0.8}},
        "5": {"class_type": "SetLatentNoiseMask", "inputs": masking},
        "black": {"class_type": "SolidMask", "inputs": small},
        "encoded": {"class_type": "VAEEncode", "inputs": encoding},
        "grey": {"class_type": "EmptyImage", "inputs": {**size, "batch_size": 1, "color": 0x808080}},
        "half": {"class_type": "MaskComposite", "inputs": placing},
        "white": {"class_type": "SolidMask", "inputs": solid},
    }


async def _outputs(client: Client, graph: Graph) -> Any:
    entry = await client.wait_for_history(await client.submit(graph, new_client()))
    assert entry["status"]["status_str"] == "success", entry["status"]
    return entry["outputs"]


async def _pictures(client: Client, graph: Graph) -> dict[str, list[Image.Image]]:
    made: dict[str, list[Image.Image]] = {}
    for node, output in (await _outputs(client, _with_new_prefixes(graph))).items():
        fetched = [await client.get_bytes(view(place)) for place in output["images"]]
        made[node] = [Image.open(BytesIO(data)).convert("RGB") for _, data in fetched]
    return made


def _with_new_prefixes(graph: Graph) -> Graph:
    """The same again, but not from the cache of the server, which writes no file a second time."""
    own = deepcopy(graph)
    for node in own.values():
        if "filename_prefix" in node["inputs"]:
            node["inputs"]["filename_prefix"] = new_prefix()
    return own


async def _latents(client: Client, graph: Graph, *node_ids: str) -> "list[array[float]]":
    """What these samplers give; nothing is decoded."""
    asked = {node_id: node for node_id, node in graph.items() if node_id.partition("#")[0] not in ("8", "9")}
    for node_id in node_ids:
        inputs = {"samples": [node_id, 0], "filename_prefix": new_prefix()}
        asked[f"{node_id} saved"] = {"class_type": "SaveLatent", "inputs": inputs}
    outputs = await _outputs(client, asked)
    files = [outputs[f"{node_id} saved"]["latents"][0] for node_id in node_ids]
    return [_values((await client.get_bytes(view(file)))[1]) for file in files]


def _values(data: bytes) -> "array[float]":
    """The numbers in a file that has a length, a JSON header, and tensors."""
    (length,) = struct.unpack("<Q", data[:8])
    described = json.loads(data[8 : 8 + length])["latent_tensor"]
    assert described["dtype"] == "F32"
    start, end = (8 + length + offset for offset in described["data_offsets"])
    assert end - start == 4 * math.prod(described["shape"])
    return array("f", data[start:end])


def _parts(latents: "array[float]") -> "list[array[float]]":
    size = len(latents) // len(SEEDS)
    return [latents[start : start + size] for start in range(0, len(latents), size)]


def _furthest(left: "array[float]", right: "array[float]") -> float:
    return max(abs(a - b) for a, b in zip(left, right, strict=True))


def _shades(left: Image.Image, right: Image.Image) -> int:
    return max(ImageChops.difference(left, right).tobytes())


async def _failure(client: Client, graph: Graph) -> str:
    entry = await client.wait_for_history(await client.submit(graph, new_client()))
    assert entry["outputs"] == {}
    return json.dumps([message[1].get("exception_message") for message in entry["status"]["messages"]])
