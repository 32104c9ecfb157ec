"""Which model files a workflow loads, and which parameters choose them."""

import pytest
from tests.daemon.recipes.servers import graph

from stoker_daemon.recipes.template import Binding, Template
from stoker_daemon.recipes.weights import are_heavy, levels_of, model_kind, readers_of, weight_parameters, weights_of
from stoker_protocol.jobs import Parameter

LOADERS = graph(
    lora=("LoraLoader", {"lora_name": "b.safetensors", "strength_model": 1.0}),
    stack=("A Loader Of Some Pack", {"lora_name": "None", "vae_name": "v.safetensors", "model_name": "x"}),
    up=("UpscaleModelLoader", {"model_name": "x4.pth"}),
    linked=("VAELoader", {"vae_name": ["1", 0]}),
)


def test_all_files_that_are_loaded_count() -> None:
    """The checkpoint comes first, files of loaders from node packs count, and what is not a file does not."""
    assert weights_of(LOADERS) == [
        ("checkpoint", "random_sd15.safetensors"),
        ("lora", "b.safetensors"),
        ("upscaler", "x4.pth"),
        ("vae", "v.safetensors"),
    ]


def test_what_chooses_files_is_known() -> None:
    """Parameters that go to a loader choose models, by their names and by their places."""
    bindings = [
        Binding(Parameter("model", "string"), ["4.ckpt_name"]),
        Binding(Parameter("lora_strength", "number"), ["lora.strength_model"]),
    ]
    places = {"4.ckpt_name", "lora.lora_name", "stack.lora_name", "stack.vae_name", "up.model_name", "linked.vae_name"}
    assert weight_parameters(Template("", LOADERS, bindings)) == {"model", *places}


@pytest.mark.parametrize(
    ("place", "kind"), [("4.ckpt_name", "checkpoint"), ("lora.lora_name", "lora"), ("stack.model_name", ""), ("", "")]
)
def test_the_kind_of_the_model_follows_from_its_place(place: str, kind: str) -> None:
    """What kind of file `model` names is that of the loader it goes to, if that is known."""
    assert model_kind(Template("", LOADERS, [Binding(Parameter("model", "string"), [place])])) == kind


def test_levels() -> None:
    """Checkpoints and diffusion models are heavy, the rest is put on them; a workflow without them has one level."""
    heavy = graph(unet=("UNETLoader", {"unet_name": "u.safetensors"}), vae=("VAELoader", {"vae_name": "v.safetensors"}))
    assert levels_of(heavy) == (["random_sd15.safetensors", "u.safetensors"], ["v.safetensors"])
    assert [reader for reader in readers_of(heavy).values() if not are_heavy([reader], heavy)] == [
        '["VAELoader", {"vae_name": "v.safetensors"}]'
    ]
    up = {"up": {"class_type": "UpscaleModelLoader", "inputs": {"model_name": "x4.pth"}}}
    assert levels_of(up) == (["x4.pth"], [])
    assert all(are_heavy([reader], up) for reader in readers_of(up).values())
