"""What a description of a recipe says: parameters with the types, bounds and choices of the server."""

from typing import Any

import msgspec
import pytest
from tests.daemon.recipes.servers import INFO, graph

from stoker_daemon.recipes import object_info
from stoker_daemon.recipes.describing import parameters_of
from stoker_daemon.recipes.discovery import discover
from stoker_daemon.recipes.object_info import ObjectInfo
from stoker_daemon.recipes.template import Binding, Template
from stoker_protocol.jobs import MAX_SEED, Parameter

WORKFLOW = graph(
    source=("LoadImage", {"image": "red.png"}),
    number=("PrimitiveInt", {"value": 64}),
    n5={"width": ["number", 0]},
    whatever=("Of A Pack", {"level": 8, "on": True, "list": [1, 2, 3]}),
)


def described(info: ObjectInfo | None, *bindings: Binding, **more: bool) -> dict[str, Parameter]:
    """Parameters by name; without bindings those that are found."""
    template = Template("", WORKFLOW, list(bindings) or list(discover(titled())), defaults={"cfg": 7.0})
    return {parameter.name: parameter for parameter in parameters_of(template, info, **more)}


def titled() -> dict[str, object]:
    """The workflow as the discovery wants it."""
    return {node_id: {**node, "_meta": {"title": ""}} for node_id, node in WORKFLOW.items()}


def test_the_narrower_bound_holds() -> None:
    """A bound is the server's or the recipe's, whichever leaves less, and a seed is never larger than ours may be."""
    known = described(INFO)
    assert [(known[name].minimum, known[name].maximum) for name in ("steps", "denoise", "seed")] == [
        (1, 10_000),
        (0, 1),
        (0, MAX_SEED),
    ]
    unknown = described(None)
    assert (unknown["steps"].minimum, unknown["steps"].maximum) == (1, None)


def test_choices_are_those_of_the_server() -> None:
    """What may be chosen the server says, but files that come with the job are not limited to what it has."""
    known = described(INFO)
    assert known["scheduler"].choices is not None
    assert "karras" in known["scheduler"].choices
    assert known["image"].choices is None
    assert described(None)["scheduler"].choices is None


def test_a_recipe_may_offer_less() -> None:
    """Choices that a recipe says stand, whatever the server has beside them."""
    few = Parameter("sampler", "string", choices=["euler", "ddim"])
    assert described(INFO, Binding(few, ["3.sampler_name"]))["sampler"].choices == ["euler", "ddim"]


def test_what_has_a_default_need_not_be_given() -> None:
    """A default of a profile counts, and makes a required parameter optional."""
    binding = Binding(Parameter("cfg", "number", required=True), ["3.cfg"])
    cfg = described(INFO, binding)["cfg"]
    assert (cfg.default, cfg.required) == (7.0, False)
    assert described(INFO, Binding(Parameter("x", "number", required=True), ["3.cfg"]))["x"].required


@pytest.mark.parametrize(
    ("info", "name", "kind"),
    [
        (INFO, "3.cfg", "number"),
        (INFO, "3.steps", "integer"),
        (INFO, "3.sampler_name", "string"),
        (INFO, "5.width", "integer"),
        (INFO, "whatever.level", "number"),
        (None, "3.steps", "number"),
        (None, "whatever.on", "boolean"),
    ],
)
def test_inputs_go_by_their_places(info: ObjectInfo | None, name: str, kind: str) -> None:
    """Each input with a plain value may be named, one that another node gives too, where the server says its type."""
    assert described(info, with_inputs=True)[name].type == kind


@pytest.mark.parametrize("name", ["3.model", "8.samples", "whatever.list", "99.x"])
def test_links_are_no_parameters(name: str) -> None:
    """What can't be a plain value can't be given."""
    assert name not in described(INFO, with_inputs=True)


def test_both_ways_to_tell_choices_are_understood() -> None:
    """Older servers give a list for a type, newer ones `COMBO` with options; both say the same."""
    said: dict[str, Any] = {
        name: {"input": {"required": {"a": entry}, "optional": {"b": ["INT"]}}, "output": [["x"], "IMAGE"]}
        for name, entry in (("Old", [["x", "y"]]), ("New", ["COMBO", {"options": ["x", "y"]}]))
    }
    classes = object_info.parse(msgspec.json.encode(said)).classes
    for node in classes.values():
        assert (node.inputs["a"].choices, node.inputs["a"].is_required, node.inputs["b"].is_required) == (
            ["x", "y"],
            True,
            False,
        )
        assert (node.outputs, node.is_output) == (("COMBO", "IMAGE"), False)
