"""Which recipe, workflow and profile a job means."""

from typing import Any

import pytest
from tests.daemon.recipes.servers import graph, job

from stoker_daemon.library import load_library
from stoker_daemon.recipes.graph import get
from stoker_daemon.recipes.template import Template, fill
from stoker_protocol.codec import pack, unpack_map
from stoker_protocol.errors import ErrorCode, Refused
from stoker_protocol.jobs import Profile
from stoker_protocol.requests import Submit

MINE = Profile("mine", "", 2, pack({"cfg": 5.5, "vae": "v.safetensors", "nothing": 1}))
LIBRARY = load_library(None, [MINE])
BLOB = {name: f"blob:{name}" for name in ("image", "mask")}


def template(request: Submit) -> Template:
    """What the items of the job are made by."""
    return LIBRARY.template(request, "txt2img")


@pytest.mark.parametrize(
    ("shared", "item", "recipe"),
    [
        ({}, {"prompt": "x"}, "txt2img"),
        ({"lora": "a"}, {}, "txt2img_lora"),
        ({"image": "a"}, {}, "img2img"),
        ({}, {"image": "a"}, "img2img"),
        ({"image": "a", "lora": "b"}, {}, "img2img"),
        ({"image": "a", "mask": "b"}, {}, "inpaint"),
        ({"image": "a"}, {"mask": "b"}, "inpaint"),
        ({"image": "a", "mask": "b", "lora": "c"}, {}, "inpaint"),
        ({"image": "a", "upscaler": "b"}, {}, "upscale"),
        ({"mask": "b"}, {}, "txt2img"),
    ],
)
def test_the_recipe_follows_from_what_is_given(shared: dict[str, Any], item: dict[str, Any], recipe: str) -> None:
    """A job that names no recipe means the one that has a place for its files and its LoRA."""
    assert template(job(item, params=shared)).recipe == recipe


def test_a_named_recipe_is_meant() -> None:
    """Whatever a job gives, the recipe that it names is the one."""
    assert template(job(recipe="txt2img", params=BLOB)).recipe == "txt2img"


def test_a_default_recipe_that_has_a_place_is_meant() -> None:
    """An engine's default recipe is not passed over where it takes what is given."""
    assert LIBRARY.template(job(params=BLOB), "inpaint").recipe == "inpaint"
    assert LIBRARY.template(job(params={"lora": "a"}), "animation").recipe == "animation"


def test_a_workflow_is_a_recipe_of_its_own() -> None:
    """A workflow brings its parameters and values along, and a profile lies over these."""
    made = template(job(workflow=graph(), params={"steps": 9}, profile="mine"))
    filled = fill(made, {"steps": 9})
    places = ("3.steps", "3.cfg", "3.seed", "6.text")
    assert (made.recipe, [get(filled, place) for place in places]) == ("workflow", [9, 5.5, 1, "a red cube"])


def test_optional_parts_are_there_when_they_are_wanted() -> None:
    """A VAE that the job or its profile gives is loaded, and otherwise the checkpoint's own is used."""
    for request, vae in (
        (job(params={"vae": "v.safetensors"}), ["vae", 0]),
        (job(profile="mine"), ["vae", 0]),
        (job(), ["checkpoint", 2]),
    ):
        made = template(request)
        assert ("vae" in made.workflow, get(made.workflow, "decoder.vae")) == (vae[0] == "vae", vae)


@pytest.mark.parametrize(
    ("request_", "field", "message", "hint"),
    [
        (job(recipe="txt2im"), "recipe", "there is no recipe 'txt2im'", "did you mean txt2img"),
        (job(recipe="zzzzz"), "recipe", "there is no recipe 'zzzzz'", "recipes: animation, img2img, inpaint"),
        (job(profile="balance"), "profile", "there is no profile 'balance'", "did you mean balanced?"),
        (
            job(recipe="txt2img", workflow=graph()),
            "recipe",
            "a recipe and a workflow are given",
            "leave one of them out",
        ),
        (job(recipe="upscale", model="x"), "model", "upscale takes no model", "NODE.INPUT"),
        (job(workflow=graph(n4=None), model="x"), "model", "workflow takes no model", "NODE.INPUT"),
        (job(workflow={"nodes": []}), "workflow", "workflow: this is a file of ComfyUI's editor", "Export (API)"),
        (job(workflow={"1": 1}), "workflow.1", "workflow.1: node '1' is no map", "a map of nodes"),
    ],
)
def test_what_there_is_not_is_refused(request_: Submit, field: str, message: str, hint: str) -> None:
    """A name that does not exist, or what does not go together, is refused with what would do."""
    with pytest.raises(Refused) as refused:
        template(request_)
    assert (refused.value.code, refused.value.field) == (ErrorCode.BAD_REQUEST, field)
    assert refused.value.message.startswith(message)
    assert hint in refused.value.hint


def test_an_animation_knows_how_many_frames_there_are() -> None:
    """Frames are counted by the items, and where more may come the job must say how many there will be."""
    closed, opened = (template(job({}, {}, {}, recipe="animation", more=more)) for more in (False, True))
    text = get(fill(closed, closed.numbered({"prompt": "a fox"}, 1)), "positive.text")
    assert text.startswith("a fox, frame 2 of 3 of one animation")
    assert (closed.one_seed, opened.one_seed) == (True, True)
    required = [[b.parameter.name for b in each.bindings if b.parameter.required] for each in (closed, opened)]
    assert required == [["prompt"], ["prompt", "frames"]]


def test_what_the_profiles_say() -> None:
    """The built-in profiles are those that people know, and their own stand beside them."""
    told = {
        name: (profile.batch_size, *unpack_map(profile.params).values()) for name, profile in LIBRARY.profiles.items()
    }
    assert told == {
        "speed": (8, 15, 7.0, "euler_ancestral", "karras"),
        "balanced": (4, 20, 8.0, "euler_ancestral", "karras"),
        "quality": (1, 30, 8.5, "dpmpp_2m", "karras"),
        "animation": (8, 20, 8.0, "euler_ancestral", "karras"),
        "tileset": (8, 18, 7.5, "euler_ancestral", "karras"),
        "mine": (2, 5.5, "v.safetensors", 1),
    }
