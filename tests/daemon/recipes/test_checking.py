"""Jobs beside what a server says: each thing that it would refuse is told at submit, in words of its own."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.daemon.recipes.servers import INFO, TXT2IMG, graph, job
from tests.protocol.strategies import json_values

from stoker_daemon.library import load_library
from stoker_daemon.recipes.checking import check_graph, check_shared
from stoker_daemon.recipes.describing import parameters_of
from stoker_daemon.recipes.object_info import ObjectInfo
from stoker_protocol.errors import ErrorCode, Refused
from stoker_protocol.requests import Submit

LIBRARY = load_library(None, [])
WRONG_LORA = (
    "LoraLoader",
    {"lora_name": "x", "strength_model": 1, "strength_clip": 1, "model": ["4", 0], "clip": ["4", 1]},
)


def check(request: Submit, info: ObjectInfo = INFO) -> None:
    """All that is checked at submit without the server."""
    template = LIBRARY.template(request, "txt2img")
    check_shared(template, request)
    check_graph(template, request, info)
    parameters_of(template, info, with_inputs=True)


def refusal(request: Submit) -> Refused:
    """What a job is refused with."""
    with pytest.raises(Refused) as refused:
        check(request)
    assert refused.value.code is ErrorCode.BAD_REQUEST
    assert len(refused.value.message) < 500
    return refused.value


@pytest.mark.parametrize(
    "workflow",
    [
        graph(),
        graph(n3={"seed": "64", "steps": 4.7, "cfg": "8", "denoise": True}),
        graph(n3={"seed": 2**64 - 1}),
        graph(n3={"extra": 5, "more": ["a", "b", "c"]}),
        graph(n3={"steps": {"__value__": 4}}),
        graph(n6={"text": 5}),
        graph(n5={"width": 63}),
        graph(loose=("KSampler", {}), other=("ImageScale", {"image": ["99", 0]})),
        graph(any=("PreviewAny", {"source": ["4", 0]})),
        graph(
            either=("ComfySwitchNode", {"switch": True, "on_true": ["8", 0], "on_false": ["8", 0]}),
            n9={"images": ["either", 0]},
        ),
        graph(n=("PrimitiveInt", {"value": 64}), n5={"width": ["n", 0]}),
        graph(
            batch=("BatchImagesNode", {"images.image0": ["8", 0], "images.image1": ["8", 0]}),
            n9={"images": ["batch", 0]},
        ),
        graph(
            film=("CreateVideo", {"images": ["8", 0], "fps": 30.0}),
            n9=("SaveVideo", {"video": ["film", 0], "filename_prefix": "x", "codec": "h264"}),
        ),
        {**graph(n3={"steps": {"__value__": 4}}), "a.b": TXT2IMG["9"]},
    ],
)
def test_what_the_server_takes_passes(workflow: dict[str, Any]) -> None:
    """What the server converts, does not look at or finds out itself is no reason to refuse a workflow."""
    check(job(workflow=workflow))


@pytest.mark.parametrize(
    ("workflow", "field", "message", "hint"),
    [
        (
            graph(n5=("EmptyLatentImag", {})),
            "workflow.5.class_type",
            "node 5: the server has no node class 'EmptyLatentImag'",
            "did you mean EmptyLatentImage or EmptySD3LatentImage or EmptyImage? If not, a node pack may be missing",
        ),
        (graph(x=("Zzz", {})), "workflow.x.class_type", "node x: the server has no node class", "a node pack may be"),
        (graph(n9=None), "workflow", "workflow: no node saves or shows anything", "add a node such as SaveImage"),
        (
            {**graph(), "3": {"class_type": "KSampler", "inputs": {}}},
            "workflow.3.model",
            "node 3 (KSampler): input model is missing",
            "of type MODEL",
        ),
        (
            graph(batch=("BatchImagesNode", {"image": ["8", 0]}), n9={"images": ["batch", 0]}),
            "workflow.batch.images",
            "node batch (BatchImagesNode): input images is missing",
            "of type COMFY_AUTOGROW_V3",
        ),
        (
            graph(either=("ComfySwitchNode", {"switch": True, "on_false": ["8", 0]}), n9={"images": ["either", 0]}),
            "workflow.either.on_true",
            "node either (ComfySwitchNode): input on_true is missing",
            "of type COMFY_MATCHTYPE_V3",
        ),
        (
            graph(n3={"steps": 10_001}),
            "workflow.3.steps",
            "node 3 (KSampler), input steps: 10001 is out of range",
            "integer from 1 to 10000",
        ),
        (graph(n3={"cfg": -1}), "workflow.3.cfg", "input cfg: -1 is out of range", "number from 0.0 to 100.0"),
        (graph(n3={"steps": "many"}), "workflow.3.steps", "input steps: 'many' is not an integer", "integer from 1"),
        (graph(n3={"steps": None}), "workflow.3.steps", "input steps: None is not an integer", "integer from 1"),
        (graph(n3={"steps": 1e999}), "workflow.3.steps", "input steps: inf is not an integer", "integer from 1"),
        (graph(n3={"cfg": {}}), "workflow.3.cfg", "input cfg: {} is not a number", "number from 0.0 to 100.0"),
        (
            graph(n4={"ckpt_name": "random_sd16.safetensors"}),
            "workflow.4.ckpt_name",
            "node 4 (CheckpointLoaderSimple), input ckpt_name: 'random_sd16.safetensors' is not there",
            "did you mean random_sd15.safetensors",
        ),
        (
            graph(lora=WRONG_LORA, n3={"model": ["lora", 0]}),
            "workflow.lora.lora_name",
            "node lora (LoraLoader), input lora_name: 'x' is not there",
            "there are: random_lora.safetensors",
        ),
        (
            graph(n3={"sampler_name": "eulr"}),
            "workflow.3.sampler_name",
            "node 3 (KSampler), input sampler_name: 'eulr' is not there",
            "did you mean euler",
        ),
        (graph(n3={"sampler_name": "?"}), "workflow.3.sampler_name", "input sampler_name: '?' is not there", " more"),
        (
            graph(n8={"samples": ["4", 0]}),
            "workflow.8.samples",
            "node 8 (VAEDecode), input samples: a link to MODEL where LATENT is expected",
            "link an output of type LATENT",
        ),
        (graph(n3={"sampler_name": ["4", 2]}), "workflow.3.sampler_name", "a link to VAE where COMBO is", "type COMBO"),
        (graph(n8={"vae": ["4"]}), "workflow.8.vae", "(VAEDecode), input vae: ['4'] is no link", '["NODE", OUTPUT]'),
        (graph(n8={"vae": ["4", 2, 0]}), "workflow.8.vae", "input vae: ['4', 2, 0] is no link", '["NODE", OUTPUT]'),
        (graph(n8={"vae": [4, 2]}), "workflow.8.vae", "input vae: [4, 2] is no link", '["NODE", OUTPUT]'),
        (graph(n8={"vae": ["4", "2"]}), "workflow.8.vae", "input vae: ['4', '2'] is no link", '["NODE", OUTPUT]'),
        (
            graph(n8={"vae": ["40", 2]}),
            "workflow.8.vae",
            "node 8 (VAEDecode), input vae: there is no node '40' to link to",
            "nodes: 3 (KSampler), 4 (CheckpointLoaderSimple)",
        ),
        (graph(n8={"x": ["40", 2]}), "workflow.8.x", "input x: there is no node '40' to link to", "nodes: 3"),
        (
            graph(n8={"vae": ["4", 3]}),
            "workflow.8.vae",
            "node 8 (VAEDecode), input vae: node 4 (CheckpointLoaderSimple) has no output 3",
            "it has outputs 0 to 2",
        ),
        (graph(n8={"vae": ["4", -1]}), "workflow.8.vae", "has no output -1", "it has outputs 0 to 2"),
        (
            graph(n5=("VAEEncode", {"pixels": ["8", 0], "vae": ["4", 2]})),
            "workflow.8",
            "workflow: nodes wait for each other: node 8 (VAEDecode) → node 3 (KSampler) → node 5 (VAEEncode) → node 8",
            "cut one of these links",
        ),
        ({"1": {"class_type": "SaveImage"}}, "workflow.1.inputs", "node '1' has no map of inputs", "a map of nodes"),
    ],
)
def test_what_the_server_would_refuse_is_refused(workflow: dict[str, Any], field: str, message: str, hint: str) -> None:
    """Each reason for which a server rejects a prompt is told with node, input, value, and what would do."""
    refused = refusal(job(workflow=workflow))
    assert refused.field == field
    assert message in refused.message
    assert hint in refused.hint


IMAGE = {"source": ("LoadImage", {"image": "red.png"}), "n9": {"images": ["source", 0]}}


@pytest.mark.parametrize("name", ["up3.png", "blob:00", "sub/red.png", "red.png [temp]"])
def test_files_that_may_be_there_pass(name: str) -> None:
    """A file passes that the server lists, that comes with the job, or that lies where the server lists nothing."""
    check(job(workflow=graph(**IMAGE), params={"image": name}))
    check(job({"source.image": name}, workflow=graph(**IMAGE)))


@pytest.mark.parametrize(
    ("name", "message", "hint"),
    [
        ("up4.png", "'up4.png' is not there", "did you mean up.png or up3.png or up (1).png?"),
        ("?", "'?' is not there", "there are: ..%2Fevil.png, corrupt.png, red.png"),
        ("../red.png", "'../red.png' is not in the input folder of the server", "send the file with the job"),
        ("/etc/passwd", "'/etc/passwd' is not in the input folder of the server", "send the file with the job"),
        ("", "'' is no name of a file", "send one with the job"),
        (5, "5 is no name of a file", "send one with the job"),
    ],
)
def test_files_that_are_not_there_are_refused(name: Any, message: str, hint: str) -> None:
    """A file that the server can't have is refused, whether the workflow, the job or one of its items names it."""
    for request, field in (
        (job(workflow=graph(**IMAGE | {"source": ("LoadImage", {"image": name})})), "workflow.source.image"),
        (job(workflow=graph(**IMAGE), params={"image": name}), "params.image"),
        (job({}, {"image": name}, workflow=graph(**IMAGE)), "items[1].params.image"),
        (job({"source.image": name}, workflow=graph(**IMAGE)), "items[0].params.source.image"),
    ):
        refused = refusal(request)
        assert refused.field == field
        assert message in refused.message
        assert hint in refused.hint


@pytest.mark.parametrize(
    ("request_", "field", "message"),
    [
        (job({"model": "a"}, workflow=graph()), "items[0].params.model", "an item can't choose a model"),
        (
            job({}, {"4.ckpt_name": "a"}, workflow=graph()),
            "items[1].params.4.ckpt_name",
            "an item can't choose a model",
        ),
        (job({"lora": "a"}), "items[0].params.lora", "an item can't choose a model"),
        (job({"vae": "a"}), "items[0].params.vae", "an item can't choose a model"),
        (job(workflow=graph(), params={"99.seed": 1}), "params.99.seed", "there is no node '99'"),
        (job(workflow=graph(), params={"3.sed": 1}), "params.3.sed", "node 3 (KSampler) has no input 'sed'"),
        (job(workflow=graph(), model="a", params={"model": "b"}), "params.model", "'b' is not the job's model, 'a'"),
    ],
)
def test_what_does_not_fit_the_recipe_is_refused(request_: Submit, field: str, message: str) -> None:
    """Items that choose models, places that are not there, and a model that is said twice are refused."""
    refused = refusal(request_)
    assert refused.field == field
    assert message in refused.message
    assert refused.hint


def test_a_hint_is_never_endless() -> None:
    """Where a node has ever so many inputs, a hint names the first ones."""
    workflow = graph(n3={f"input_{at}": at for at in range(5_000)})
    assert len(refusal(job(workflow=workflow, params={"3.?": 1})).hint) < 500


def test_what_items_give_is_not_held_against_the_workflow() -> None:
    """A value of the workflow that the server does not take is no trouble where each item has another one."""
    wrong = graph(
        n3={"sampler_name": "?", "steps": 0},
        n10=("SaveImage", {"images": ["8", 0], "filename_prefix": "x"}),
        **IMAGE | {"source": ("LoadImage", {"image": "gone.png"})},
    )
    own = {"sampler": "euler", "image": "blob:00"}
    check(job(own, own, workflow=wrong, params={"3.steps": 4}))
    check(job(own, own, workflow=wrong, params={"3.steps": 0}))  # which is told as a parameter
    for request in (job(own, {}, workflow=wrong), job(own, None, workflow=wrong)):
        assert refusal(request).field == "workflow.source.image"


def test_a_profile_is_named_where_it_is_to_blame() -> None:
    """A value that a profile says, and that the server does not take, is told as the profile's."""
    without = {**INFO.classes}
    sampler = without["KSampler"]
    inputs = {**sampler.inputs}
    inputs["sampler_name"] = type(inputs["sampler_name"])("COMBO", ["euler"], {}, is_required=True)
    without["KSampler"] = type(sampler)(inputs, sampler.outputs, sampler.is_output, sampler.module)
    with pytest.raises(Refused) as refused:
        check(job(profile="quality", workflow=graph()), ObjectInfo(without))
    assert refused.value.field == "profile.sampler"
    assert "'dpmpp_2m' is not there" in refused.value.message


inputs = st.dictionaries(
    st.sampled_from(["images", "samples", "vae", "model", "positive", "seed", "steps", "image", "ckpt_name", "x"]),
    st.tuples(st.sampled_from(["1", "2", "3", "x"]), st.integers(-1, 3)).map(list) | json_values,
    max_size=5,
)
workflows = st.dictionaries(
    st.sampled_from(["1", "2", "3"]),
    st.fixed_dictionaries({"class_type": st.sampled_from(sorted(INFO.classes)) | st.text(), "inputs": inputs}),
    min_size=1,
)
params = st.dictionaries(st.sampled_from(["prompt", "seed", "image", "model", "1.vae", "2.x", "x"]), json_values)


@given(workflows, params, params)
def test_whatever_comes_is_refused_or_passes(workflow: Any, shared: dict[str, Any], own: dict[str, Any]) -> None:
    """Any nodes, links and parameters end in a typed refusal or pass, and in no other way."""
    with suppress(Refused):
        check(job(own, {}, workflow=workflow, params=shared))
