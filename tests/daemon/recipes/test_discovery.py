"""The parameters of workflows that have no map: which are found, where they go, and what their defaults are."""

from typing import Any

import pytest
from tests.daemon.recipes.servers import graph, node_called

from stoker_daemon.recipes.discovery import discover
from stoker_daemon.recipes.graph import check_shape

POSITIVE = ("6.text",)


def found(workflow: dict[str, Any]) -> dict[str, tuple[str, ...]]:
    """Where each parameter goes."""
    bindings = discover(check_shape(workflow, "workflow"))
    return {binding.parameter.name: tuple(binding.inputs) for binding in bindings}


def defaults(workflow: dict[str, Any]) -> dict[str, Any]:
    """What each parameter is if nobody says."""
    bindings = discover(check_shape(workflow, "workflow"))
    return {binding.parameter.name: binding.parameter.default for binding in bindings}


def titled(workflow: dict[str, Any], **titles: str) -> dict[str, Any]:
    """The same workflow with titles for its nodes."""
    for node, title in titles.items():
        workflow[node_called(node)]["_meta"] = {"title": title}
    return workflow


def test_a_plain_workflow_is_understood() -> None:
    """All that a text-to-image workflow can be told is found, and its own values are the defaults."""
    assert found(graph()) == {
        "prompt": ("6.text",),
        "negative": ("7.text",),
        "seed": ("3.seed",),
        "steps": ("3.steps",),
        "cfg": ("3.cfg",),
        "sampler": ("3.sampler_name",),
        "scheduler": ("3.scheduler",),
        "denoise": ("3.denoise",),
        "width": ("5.width",),
        "height": ("5.height",),
        "batch_size": ("5.batch_size",),
        "model": ("4.ckpt_name",),
    }
    assert defaults(graph()) == {
        "prompt": "a red cube",
        "negative": "blurry",
        "seed": 1,
        "steps": 4,
        "cfg": 4.0,
        "sampler": "euler",
        "scheduler": "normal",
        "denoise": 1.0,
        "width": 128,
        "height": 96,
        "batch_size": 1,
        "model": "random_sd15.safetensors",
    }


def test_loaders_and_files_are_understood() -> None:
    """LoRA with its strengths, VAE, upscaler, image and mask are found by the nodes that load them."""
    workflow = graph(
        none=("LoraLoader", {"lora_name": "None", "strength_model": 1.0}),
        lora=("LoraLoader", {"lora_name": "a.safetensors", "strength_model": 0.5, "strength_clip": 0.5}),
        vae=("VAELoader", {"vae_name": "v.safetensors"}),
        up=("UpscaleModelLoader", {"model_name": "x4.pth"}),
        control=("LoadImage", {"image": "pose.png"}),
        source=("LoadImage", {"image": "red.png"}),
        mask=("LoadImageMask", {"image": "mask.png", "channel": "red"}),
        encoder=("VAEEncode", {"pixels": ["source", 0], "vae": ["vae", 0]}),
        guided=("ControlNetApplyAdvanced", {"positive": ["6", 0], "negative": ["7", 0], "image": ["control", 0]}),
        n3={"positive": ["guided", 0], "latent_image": ["encoder", 0]},
        n5=None,
    )
    places = found(workflow)
    assert [places[name] for name in ("lora", "lora_strength", "vae", "upscaler", "image", "mask")] == [
        ("lora.lora_name",),
        ("lora.strength_model", "lora.strength_clip"),
        ("vae.vae_name",),
        ("up.model_name",),
        ("source.image",),
        ("mask.image",),
    ]
    assert "width" not in places


def test_the_model_is_what_the_sampler_samples_with() -> None:
    """Where parts are loaded one by one, the diffusion model is the model, whatever a checkpoint is loaded for."""
    unet = ("UNETLoader", {"unet_name": "flux.safetensors", "weight_dtype": "default"})
    assert found(graph(n4=unet))["model"] == ("4.unet_name",)
    assert found(graph(unet=unet, n3={"model": ["unet", 0]}))["model"] == ("unet.unet_name",)
    assert found(graph(unet=unet))["model"] == ("4.ckpt_name",)


def test_a_sampler_of_several_nodes_is_understood() -> None:
    """Where noise, guider, sampler and sigmas are nodes of their own, their settings are found through the links."""
    workflow = graph(
        n3=("SamplerCustomAdvanced", {name: [name, 0] for name in ("noise", "guider", "sampler", "sigmas")}),
        noise=("RandomNoise", {"noise_seed": 5}),
        guider=("CFGGuider", {"model": ["4", 0], "positive": ["6", 0], "negative": ["7", 0], "cfg": 3.5}),
        sampler=("KSamplerSelect", {"sampler_name": "euler"}),
        sigmas=("BasicScheduler", {"model": ["4", 0], "scheduler": "simple", "steps": 4, "denoise": 1.0}),
    )
    places = found(workflow)
    assert [places[name][0] for name in ("seed", "steps", "cfg", "sampler", "scheduler", "denoise")] == [
        "noise.noise_seed",
        "sigmas.steps",
        "guider.cfg",
        "sampler.sampler_name",
        "sigmas.scheduler",
        "sigmas.denoise",
    ]
    assert (places["prompt"], places["negative"]) == (("6.text",), ("7.text",))


@pytest.mark.parametrize(
    "between",
    [
        {"x": ("ConditioningCombine", {"conditioning_1": ["6", 0], "conditioning_2": ["6", 0]})},
        {"x": ("FluxGuidance", {"conditioning": ["6", 0], "guidance": 3.5})},
        {
            "x": (
                "ControlNetApplyAdvanced",
                {"positive": ["6", 0], "negative": ["7", 0], "control_net": ["net", 0], "image": ["image", 0]},
            )
        },
        {"x": ("Whatever", {"thing": ["y", 0], "clip": ["4", 1]}), "y": ("Reroute", {"": ["6", 0]})},
    ],
)
def test_prompts_are_found_behind_other_nodes(between: dict[str, Any]) -> None:
    """The texts are found through what lies between them and the sampler, each on its side."""
    places = found(graph(**between, n3={"positive": ["x", 0]}))
    assert (places["prompt"], places["negative"]) == (("6.text",), ("7.text",))


def test_both_sides_may_go_through_one_node() -> None:
    """A node that hands both conditionings on keeps them apart."""
    through = ("ControlNetApplyAdvanced", {"positive": ["6", 0], "negative": ["7", 0]})
    places = found(graph(x=through, n3={"positive": ["x", 0], "negative": ["x", 1]}))
    assert (places["prompt"], places["negative"]) == (("6.text",), ("7.text",))


@pytest.mark.parametrize("zero", [("ConditioningZeroOut", {"conditioning": ["6", 0]}), ("Other", {"x": ["6", 0]})])
def test_the_prompt_is_never_the_negative_prompt(zero: Any) -> None:
    """Where the negative side is made from the positive one, there is no negative prompt."""
    places = found(graph(zero=zero, n3={"negative": ["zero", 0]}))
    assert places["prompt"] == POSITIVE
    assert "negative" not in places


def test_values_are_found_in_the_nodes_that_hand_them_on() -> None:
    """An input that another node gives is set there."""
    workflow = graph(
        text=("PrimitiveStringMultiline", {"value": "a blue cube"}),
        width=("PrimitiveInt", {"value": 64}),
        n6={"text": ["text", 0]},
        n5={"width": ["width", 0]},
    )
    assert (found(workflow)["prompt"], found(workflow)["width"]) == (("text.value",), ("width.value",))
    assert defaults(workflow)["prompt"] == "a blue cube"


def test_titles_come_first() -> None:
    """A title says what a node is, in any case and spelling, whatever the links say."""
    workflow = titled(
        graph(style=("CLIPTextEncode", {"text": "oil"}), number=("PrimitiveInt", {"value": 9})),
        style="positive_Prompt",
        number="SEED",
        n7="Something Else",
    )
    places = found(workflow)
    assert (places["prompt"], places["seed"], places["negative"]) == (("style.text",), ("number.value",), ("7.text",))


def test_a_title_without_a_value_means_nothing() -> None:
    """A node that has the title of a parameter but no input for it is passed over."""
    assert found(titled(graph(), n8="Seed"))["seed"] == ("3.seed",)


def test_all_texts_of_an_encoder_are_the_prompt() -> None:
    """An encoder that takes two texts gets the prompt for both, and keeps its own until one is given."""
    encoder = ("CLIPTextEncodeSDXL", {"text_g": "a red cube", "text_l": "", "clip": ["4", 1]})
    workflow = graph(n6=encoder)
    assert found(workflow)["prompt"] == ("6.text_g", "6.text_l")
    assert defaults(workflow)["prompt"] is None


def second_pass(**more: Any) -> dict[str, Any]:
    """A workflow whose second sampler goes over what the first made."""
    other = {**graph()["3"]["inputs"], "latent_image": ["3", 0], **more}
    return {"2": {"class_type": "KSampler", "inputs": other}, **graph(n8={"samples": ["2", 0]})}


def test_equal_values_in_one_role_go_together() -> None:
    """What is the same in a second pass is set in both, and what is not is set only in the first."""
    places = found(second_pass(steps=8))
    assert (places["seed"], places["cfg"], places["steps"]) == (("3.seed", "2.seed"), ("3.cfg", "2.cfg"), ("3.steps",))


def test_the_first_text_is_the_prompt() -> None:
    """Of texts that go together, and of those of two samplers, the first one is the prompt."""
    style = ("CLIPTextEncode", {"text": "oil", "clip": ["4", 1]})
    both = ("ConditioningCombine", {"conditioning_1": ["deep", 0], "conditioning_2": ["style", 0]})
    deep = ("FluxGuidance", {"conditioning": ["6", 0], "guidance": 3.5})
    assert found(graph(style=style, both=both, deep=deep, n3={"positive": ["both", 0]}))["prompt"] == POSITIVE
    two = {**second_pass(positive=["style", 0]), "style": {"class_type": style[0], "inputs": style[1]}}
    assert found(two)["prompt"] == POSITIVE


def test_denoise_is_that_of_the_pass_that_keeps_something() -> None:
    """A first pass from nothing needs all to be made anew, so it is the second one that is meant."""
    assert found(second_pass(denoise=0.4))["denoise"] == ("2.denoise",)


def test_the_model_is_that_of_the_first_sampler() -> None:
    """Of two checkpoints the first sampler's is the model, and the other one stays what it is."""
    refiner = ("CheckpointLoaderSimple", {"ckpt_name": "refiner.safetensors"})
    workflow = {"1": {"class_type": refiner[0], "inputs": refiner[1]}, **second_pass(model=["1", 0])}
    assert found(workflow)["model"] == ("4.ckpt_name",)
    assert defaults(workflow)["model"] == "random_sd15.safetensors"


def test_a_seed_too_large_for_us_is_no_default() -> None:
    """A server takes larger seeds than jobs do: such a one stays in the workflow until another is given."""
    assert defaults(graph(n3={"seed": 2**64 - 1}))["seed"] is None


def test_a_workflow_without_a_sampler_has_what_its_nodes_say() -> None:
    """An empty picture that is saved has a size, and nothing else to say."""
    empty = {"width": 64, "height": 32, "batch_size": 1, "color": 0}
    workflow = {
        "1": {"class_type": "EmptyImage", "inputs": empty},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "x"}},
    }
    assert found(workflow) == {"width": ("1.width",), "height": ("1.height",), "batch_size": ("1.batch_size",)}
