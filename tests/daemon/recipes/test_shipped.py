"""The recipes that come with Stoker, each in all its forms, beside what a server says."""

from collections.abc import Iterator
from itertools import combinations
from typing import Any

import pytest
from msgspec import structs
from tests.daemon.recipes.servers import INFO, job

from stoker_daemon.library import load_library
from stoker_daemon.recipes.checking import check_graph, check_shared
from stoker_daemon.recipes.describing import parameters_of
from stoker_daemon.recipes.graph import get
from stoker_daemon.recipes.template import Template, fill
from stoker_daemon.recipes.weights import weights_of

LIBRARY = load_library(None, [])
MODEL = "random_sd15.safetensors"
VALUES: dict[str, Any] = {
    "prompt": "a fox",
    "image": "blob:00",
    "mask": "blob:11",
    "upscaler": "random_x4.safetensors",
    "lora": "random_lora.safetensors",
    "vae": "pixel_space",
    "width": 64,
}
EVERYWHERE = {"prompt", "negative", "seed", "steps", "cfg", "sampler", "scheduler", "model", "vae"}
SIZE = {"width", "height", "batch_size"}
LORA = {"lora", "lora_strength"}


def forms() -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each recipe with each choice of its optional parts."""
    for recipe in LIBRARY.recipes.values():
        for count in range(len(recipe.without) + 1):
            for parts in combinations(recipe.without, count):
                yield recipe.name, parts


def given(name: str, parts: tuple[str, ...]) -> dict[str, Any]:
    """What must be given to a recipe in this form."""
    recipe = LIBRARY.recipe(name)
    needed = {binding.parameter.name for binding in recipe.bindings if binding.parameter.required}
    return {name: VALUES[name] for name in needed.union(parts)}


def template(name: str, params: dict[str, Any], **more: Any) -> Template:
    """The template of a job, with a model as the engine puts it in."""
    found = LIBRARY.template(job(recipe=name, params=params, **more), "txt2img")
    return structs.replace(found, defaults={**found.defaults, "model": MODEL})


@pytest.mark.parametrize(("name", "parts"), list(forms()))
def test_each_form_is_what_the_server_takes(name: str, parts: tuple[str, ...]) -> None:
    """With whatever optional parts, the server knows all nodes and takes all links and values, and files are loaded."""
    params = given(name, parts)
    made = template(name, params)
    check_shared(made, job(params=params))
    check_graph(made, job(params=params), INFO)
    named = {value for key, value in params.items() if key in ("lora", "vae", "upscaler")}
    checkpoint = {MODEL} if name != "upscale" else set[str]()
    assert {file for _, file in weights_of(fill(made, params))} == named | checkpoint


@pytest.mark.parametrize(
    ("name", "parameters", "required"),
    [
        ("txt2img", EVERYWHERE | SIZE, {"prompt"}),
        ("txt2img_lora", EVERYWHERE | SIZE | LORA, {"prompt", "lora"}),
        ("img2img", EVERYWHERE | LORA | {"image", "denoise", "width", "height"}, {"prompt", "image"}),
        ("inpaint", EVERYWHERE | LORA | {"image", "mask", "denoise"}, {"prompt", "image", "mask"}),
        ("upscale", {"image", "upscaler"}, {"image", "upscaler"}),
        ("animation", EVERYWHERE | SIZE | LORA | {"frame", "frames"}, {"prompt"}),
        ("tileset", EVERYWHERE | SIZE | LORA | {"tile", "tiles"}, {"prompt"}),
    ],
)
def test_each_recipe_takes_what_it_promises(name: str, parameters: set[str], required: set[str]) -> None:
    """The parameters of a recipe, and which of them it can't do without, are these, each with a word of help."""
    found = parameters_of(LIBRARY.recipe(name).template(), INFO)
    assert {parameter.name for parameter in found} == parameters
    assert {parameter.name for parameter in found if parameter.required} == required
    assert all(parameter.help for parameter in found)
    assert LIBRARY.recipe(name).summary


def test_these_are_all() -> None:
    """As many recipes come with Stoker as are tried here."""
    assert sorted(LIBRARY.recipes) == [
        "animation", "img2img", "inpaint", "tileset", "txt2img", "txt2img_lora", "upscale",
    ]  # fmt: skip


@pytest.mark.parametrize("name", sorted(LIBRARY.recipes))
def test_nothing_is_the_same_seed_every_time(name: str) -> None:
    """No recipe says which seed to take, so that two jobs make two things."""
    assert not any(b.parameter.default is not None for b in LIBRARY.recipe(name).bindings if b.parameter.name == "seed")


def test_part_of_an_optional_part_asks_for_the_rest() -> None:
    """A strength without a LoRA is a LoRA that is missing, not a strength that is ignored."""
    made = template("img2img", {**given("img2img", ()), "lora_strength": 0.5})
    assert [b.parameter.required for b in made.bindings if b.parameter.name == "lora"] == [True]


def test_an_image_keeps_its_size_unless_one_is_given() -> None:
    """Img2img scales only where a width or a height is given, and the other one follows."""
    plain = template("img2img", given("img2img", ()))
    assert get(plain.workflow, "encoder.pixels") == ["source", 0]
    params = {**given("img2img", ()), "height": 96}
    filled = fill(template("img2img", params), params)
    assert [get(filled, f"scale.{side}") for side in ("width", "height")] == [0, 96]
    assert get(filled, "encoder.pixels") == ["scale", 0]


def test_tiles_are_told_that_they_are_tiles() -> None:
    """The prompt of a tile says that its edges meet, and which of how many it is."""
    made = template("tileset", {"prompt": "grass", "tiles": 9})
    text = get(fill(made, made.numbered({"prompt": "grass", "tiles": 9}, 4)), "positive.text")
    assert text == "grass, seamless tileable texture, tile 5 of 9 of one set"
    assert not made.one_seed


@pytest.mark.parametrize("name", ["img2img", "inpaint", "upscale"])
def test_what_is_missing_is_no_fault_of_the_workflow(name: str) -> None:
    """A file that the job lacks is told as a parameter that is missing, not as a node that has none."""
    check_graph(template(name, {}), job(), INFO)
