"""Which workflows can be merged, and what becomes of them."""

import runpy
from pathlib import Path
from typing import Any

import pytest
from tests.daemon.recipes.servers import graph

from stoker_daemon.recipes.batching import ALGORITHMS, QUIET
from stoker_daemon.recipes.graph import Graph, find_cycle, links
from stoker_daemon.recipes.merging import MOST_ITEMS, is_same_alone, item_of, merge, of_series, signature
from stoker_protocol.jobs import Level

PACK = Path(__file__).parents[3] / "clients/comfyui_nodes/stoker_nodes"


def item(number: int, **nodes: Any) -> Graph:
    """The workflow of an item with a seed, a prompt and a file name of its own."""
    own = graph(**nodes)
    own["3"]["inputs"]["seed"] = number
    if "n6" not in nodes:
        own["6"]["inputs"]["text"] = f"prompt {number}"
    own["9"]["inputs"]["filename_prefix"] = f"job/{number}"
    return own


def classes(merged: Graph) -> dict[str, int]:
    """How many nodes there are of each class."""
    names = [node["class_type"] for node in merged.values()]
    return {name: names.count(name) for name in names}


@pytest.mark.parametrize("level", ["close", "exact"])
def test_seeds_texts_and_file_names_may_differ(level: Level) -> None:
    """We expect one signature of items that differ in these, also in their negative prompts."""
    other = item(2, n7={"text": "ugly"})
    assert signature(item(1), level).key == signature(other, level).key is not None


@pytest.mark.parametrize(
    "change",
    [
        {"n3": {"steps": 5}},
        {"n3": {"cfg": 7.5}},
        {"n3": {"sampler_name": "heun"}},
        {"n3": {"scheduler": "karras"}},
        {"n3": {"denoise": 0.5}},
        {"n4": {"ckpt_name": "another"}},
        {"n5": {"width": 640}},
        {"n8": ("VAEDecodeTiled", {"samples": ["3", 0], "vae": ["4", 2]})},
        {"lora": ("LoraLoader", {"lora_name": "a", "model": ["4", 0], "clip": ["4", 1]})},
        {"n6": {"text": ["elsewhere", 0]}, "elsewhere": ("PrimitiveString", {"value": "a prompt"})},
    ],
)
def test_all_else_must_be_equal(change: dict[str, Any]) -> None:
    """We expect another signature where anything differs that a run has only once."""
    assert signature(item(1, **change)).key not in (None, signature(item(1)).key)


@pytest.mark.parametrize("level", ["series", "close", "exact"])
def test_levels_do_not_mix(level: Level) -> None:
    """We expect that a signature of one level is none of another, and that titles don't count."""
    titled = item(1)
    titled["3"]["_meta"] = {"title": "mine"}
    assert [
        other for other in ("series", "close", "exact") if signature(titled, other) == signature(item(1), level)
    ] == [level]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"n3": {"sampler_name": "dpm_adaptive"}}, "'dpm_adaptive' can't make several items"),
        ({"n3": {"sampler_name": "of some pack"}}, "'of some pack' can't make several items"),
        ({"n3": {"sampler_name": ["5", 0]}}, "can't make several items"),
        ({"n3": {"seed": ["5", 0]}}, "the seed of node 3 (KSampler) is no plain number"),
        ({"n3": {"negative": None}}, "node 3 (KSampler) lacks an input"),
        ({"n5": {"batch_size": 4}}, "an item makes several images already"),
        (
            {
                "n3": {"latent_image": ["encoded", 0]},
                "encoded": ("VAEEncode", {"pixels": ["grey", 0], "vae": ["4", 2]}),
                "grey": ("EmptyImage", {"batch_size": 2}),
            },
            "an item makes several images already",
        ),
        ({"n3": {"latent_image": ["many", 0]}, "many": ("RepeatLatentBatch", {"samples": ["5", 0]})}, "more than one"),
        ({"n3": {"model": ["6", 0]}}, "more of each item than its seed and its prompts"),
        ({"n3": {"positive": ["net", 0]}, "net": ("ControlNetApply", {"conditioning": ["6", 0]})}, "ControlNetApply"),
        ({"save": ("SaveLatent", {"samples": ["3", 0]})}, "node save (SaveLatent) can't take latent images"),
        ({"film": ("SaveAnimatedWEBP", {"images": ["8", 0]})}, "what node film (SaveAnimatedWEBP) makes can't be said"),
        ({"n6": {"clip": ["nowhere", 0]}}, "comes from a node that is not there"),
        ({"n4": {"model": ["3", 0]}}, "wait for each other"),
        ({"a#b": ("PreviewImage", {"images": ["8", 0]})}, "the id of a node has a #"),
        (
            {
                "n3": {"sampler_name": "ddim", "latent_image": ["mask", 0]},
                "mask": ("SetLatentNoiseMask", {"samples": ["5", 0]}),
            },
            "'ddim' can't make several items at once with a mask",
        ),
        (dict.fromkeys(("n3", "n8", "n9")), "no sampler that can make several items"),
    ],
)
def test_what_cannot_be_merged_says_why(change: dict[str, Any], reason: str) -> None:
    """We expect no key and the reason, for each thing that a batch can't have once for each image."""
    one = graph(**change)
    assert signature(one).key is None
    assert reason in signature(one).reason
    with pytest.raises(ValueError, match="can't be merged"):
        merge([one, one])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            {
                "n3": {"latent_image": ["encoded", 0]},
                "encoded": ("VAEEncode", {"pixels": ["photo", 0], "vae": ["4", 2]}),
                "photo": ("LoadImage", {"image": "a.png"}),
            },
            "a series begins with an empty image",
        ),
        (
            {
                "back": ("VAEEncode", {"pixels": ["8", 0], "vae": ["4", 2]}),
                "again": ("KSampler", {**graph()["3"]["inputs"], "latent_image": ["back", 0]}),
            },
            "no sampler can go on from a picture",
        ),
    ],
)
def test_a_series_knows_the_places_of_its_images(change: dict[str, Any], reason: str) -> None:
    """We expect a series only where images keep their places from the empty one on; at `close` none is needed."""
    one = graph(**change, last=("PreviewImage", {"images": ["8", 0]}))
    assert reason in signature(one, "series").reason
    assert reason not in signature(one, "close").reason


def test_a_sampler_makes_a_batch_and_the_rest_is_taken_apart() -> None:
    """We expect one sampler and one decoder, the seeds in order, and for each item a prompt and a node that saves."""
    merged = merge([item(5), item(7), item(6)])
    assert classes(merged.graph) == {
        "CheckpointLoaderSimple": 1,
        "CLIPTextEncode": 4,
        "EmptyLatentImage": 1,
        "ImageFromBatch": 3,
        "KSampler": 1,
        "RepeatLatentBatch": 1,
        "SaveImage": 3,
        "StokerItemNoise": 1,
        "StokerItemPrompts": 1,
        "VAEDecode": 1,
    }
    assert merged.graph["3#noise"]["inputs"] == {"model": ["4", 0], "seeds": "5,7,6"}
    assert merged.graph["3#start"]["inputs"] == {"samples": ["5", 0], "amount": 3}
    assert merged.graph["3"]["inputs"]["negative"] == ["7", 0]
    together = {"item_0": ["6#0", 0], "item_1": ["6#1", 0], "item_2": ["6#2", 0]}
    assert merged.graph["3#positive"]["inputs"] == {"model": ["4", 0], **together}
    assert [merged.graph[f"6#{number}"]["inputs"]["text"] for number in range(3)] == [
        "prompt 5",
        "prompt 7",
        "prompt 6",
    ]
    assert merged.graph["8#2"]["inputs"] == {"image": ["8", 0], "batch_index": 2, "length": 1}
    assert merged.graph["9#2"]["inputs"] == {"images": ["8#2", 0], "filename_prefix": "job/6"}
    assert merged.outputs == {"9#0": (0, "9"), "9#1": (1, "9"), "9#2": (2, "9")}


@pytest.mark.parametrize("level", ["series", "close", "exact"])
def test_a_merged_workflow_is_whole(level: Level) -> None:
    """We expect that all links lead somewhere, without a cycle, and that the items' own workflows stay as they were."""
    hires = {
        "up": ("LatentUpscaleBy", {"samples": ["3", 0], "scale_by": 2.0}),
        "again": ("KSampler", {**graph()["3"]["inputs"], "seed": 9, "latent_image": ["up", 0]}),
        "n8": {"samples": ["again", 0]},
        "seen": ("PreviewImage", {"images": ["8", 0]}),
    }
    given = [item(1), item(1)] if level == "series" else [item(1, **hires), item(2, **hires), item(3, **hires)]
    before = repr(given)
    merged = merge(given, level)
    assert repr(given) == before
    assert find_cycle(merged.graph) == []
    assert {link[0] for node in merged.graph.values() for _, link in links(node)} <= merged.graph.keys()
    ends = ["9"] if level == "series" else ["9", "seen"]
    assert sorted(merged.outputs.values()) == [(number, end) for number in range(len(given)) for end in ends]
    assert classes(merged.graph)["KSampler"] == {"series": 1, "close": 2, "exact": 6}[level]


def test_a_series_is_native() -> None:
    """We expect the server's own nodes only, the seed as it was, and the images that follow the ones before."""
    merged = merge([item(5)] * 4, "series", first=8).graph
    assert not any(name.startswith("Stoker") for name in classes(merged))
    assert merged["3"]["inputs"]["seed"] == 5
    assert merged["3"]["inputs"]["latent_image"] == ["3#places", 0]
    assert merged["3#places"]["inputs"] == {"samples": ["3#start", 0], "batch_index": 8, "length": 4}
    assert merged["3#start"]["inputs"] == {"samples": ["5", 0], "amount": 12}
    assert signature(item(5), "series") != signature(item(6), "series")
    with pytest.raises(ValueError, match="can't be merged"):
        merge([item(5)] * 4, "series", first=MOST_ITEMS - 3)


def test_an_image_of_a_series_can_be_made_alone() -> None:
    """We expect the item's own workflow, which makes that one image, and to know whether it is then the same."""
    one = item(5)
    alone = of_series(one, 6)
    assert one == item(5)
    assert alone.keys() - one.keys() == {"3#start", "3#places"}
    assert alone["3#places"]["inputs"] == {"samples": ["3#start", 0], "batch_index": 6, "length": 1}
    assert alone["9"] == one["9"]
    assert find_cycle(alone) == []
    assert is_same_alone(item(5, n3={"sampler_name": "euler"}), "series")
    assert not is_same_alone(item(5, n3={"sampler_name": "euler_ancestral"}), "series")
    assert is_same_alone(item(5, n3={"sampler_name": "euler_ancestral"}), "close")


def test_items_may_have_names() -> None:
    """We expect that a node of a merged workflow says for which item it is there, if for one, and what it is there."""
    merged = merge([item(5), item(7)], names=[3, 11])
    assert merged.outputs == {"9#3": (0, "9"), "9#11": (1, "9")}
    assert merged.graph["9#11"]["inputs"]["images"] == ["8#11", 0]
    assert [item_of(node_id) for node_id in ("9#11", "3#noise", "3", "a#b#2")] == [
        ("9", 11),
        ("3", None),
        ("3", None),
        ("a#b", 2),
    ]


def test_what_makes_latent_images_of_each_item_ends_the_batch() -> None:
    """We expect that a second sampler that begins with what is each item's own can't follow, and says so."""
    inpainting = ("VAEEncodeForInpaint", {"pixels": ["8", 0], "vae": ["4", 2], "mask": ["photo", 1]})
    again = ("KSampler", {**graph()["3"]["inputs"], "latent_image": ["back", 0]})
    one = graph(photo=("LoadImage", {"image": "a.png"}), back=inpainting, again=again)
    assert "node again (KSampler) gets more of each item" in signature(one).reason


def test_what_depends_on_more_of_an_item_is_made_for_each() -> None:
    """We expect that a node that could take a batch is there once for each item if it needs more of it."""
    measured = {
        "size": ("Measure", {"conditioning": ["6", 0]}),
        "scale": ("ImageScale", {"image": ["8", 0], "width": ["size", 0]}),
        "n9": {"images": ["scale", 0]},
    }
    merged = merge([item(1, **measured), item(2, **measured)]).graph
    assert merged["scale#1"]["inputs"] == {"image": ["8#1", 0], "width": ["size#1", 0]}
    assert classes(merged)["ImageScale"] == 2


def test_only_what_is_alike_is_merged() -> None:
    """We expect a refusal of different workflows, of none, and of more than fit."""
    for graphs in ([item(1), graph(n3={"steps": 9})], [], [item(number) for number in range(MOST_ITEMS + 1)]):
        with pytest.raises(ValueError, match="can't be merged"):
            merge(graphs)


def test_daemon_and_nodes_know_the_same_samplers() -> None:
    """We expect that the node pack, which imports nothing of Stoker, has the samplers that the daemon counts on."""
    pack = runpy.run_path(str(PACK / "samplers.py"))
    families = [pack[name] for name in ("PLAIN", "STEPWISE", "BROWNIAN")]
    assert frozenset().union(*families) == ALGORITHMS
    assert sum(map(len, families)) == len(ALGORITHMS)
    assert pack["PLAIN"] == QUIET
    assert "dpm_adaptive" not in ALGORITHMS
