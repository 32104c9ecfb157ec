"""Workflows as such: what is one, and what its links and places mean."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.daemon.recipes.servers import TXT2IMG, graph
from tests.protocol.strategies import json_values

from stoker_daemon.recipes.discovery import discover
from stoker_daemon.recipes.graph import (
    MAX_NODES,
    check_shape,
    find_cycle,
    get,
    in_order,
    is_link,
    locate,
    put,
    upstream,
)
from stoker_protocol.errors import ErrorCode, Refused

NODE = {"class_type": "SaveImage", "inputs": {"images": ["1", 0]}}


def links_only(**links: str) -> dict[str, Any]:
    """Nodes `a`, `b` ... that are made from the nodes named by the letters given."""
    return {
        node: {"class_type": "X", "inputs": {f"i{at}": [source, 0] for at, source in enumerate(sources)}}
        for node, sources in links.items()
    }


def test_a_workflow_keeps_nodes_and_titles() -> None:
    """Of a workflow what a server needs is kept, with titles, and whatever else an export adds is not."""
    exported = {"1": {**NODE, "is_changed": [float("nan")], "_meta": {"title": "Out", "more": 1}}, "2": NODE}
    assert check_shape(exported, "workflow") == {
        "1": {**NODE, "_meta": {"title": "Out"}},
        "2": {**NODE, "_meta": {"title": ""}},
    }


@pytest.mark.parametrize(
    ("given", "field", "message", "hint"),
    [
        ([], "workflow", "workflow: a workflow is a map of nodes", "a map of nodes"),
        (None, "workflow", "workflow: a workflow is a map of nodes", "a map of nodes"),
        ({}, "workflow", "workflow: the workflow has no nodes", "a map of nodes"),
        (
            {"nodes": [{"id": 1, "type": "SaveImage"}], "links": []},
            "workflow",
            "workflow: this is a file of ComfyUI's editor, which its server can't run",
            "export it from ComfyUI with Workflow → Export (API)",
        ),
        ({"1": "x"}, "workflow.1", "workflow.1: node '1' is no map", "a map of nodes"),
        ({"1": NODE, "a.b": {"inputs": {}}}, "workflow.a.b.class_type", "node 'a.b' has no class_type", "KSampler"),
        ({"1": {**NODE, "class_type": 5}}, "workflow.1.class_type", "node '1' has no class_type", "KSampler"),
        ({"1": {"class_type": "X"}}, "workflow.1.inputs", "node '1' has no map of inputs", "inputs"),
        ({"1": {"class_type": "X", "inputs": []}}, "workflow.1.inputs", "node '1' has no map of inputs", "inputs"),
    ],
)
def test_what_is_no_workflow_is_refused(given: Any, field: str, message: str, hint: str) -> None:
    """What is not in the format of the API is refused with the place, and with what would be right."""
    with pytest.raises(Refused) as refused:
        check_shape(given, "workflow")
    assert (refused.value.code, refused.value.field) == (ErrorCode.BAD_REQUEST, field)
    assert message in refused.value.message
    assert hint in refused.value.hint


def test_a_workflow_without_end_is_refused() -> None:
    """A workflow larger than anybody's is refused before it costs anything."""
    with pytest.raises(Refused) as refused:
        check_shape({str(at): NODE for at in range(MAX_NODES + 1)}, "workflow")
    assert (refused.value.code, refused.value.hint) == (ErrorCode.TOO_LARGE, "at most 2000 nodes")
    assert len(check_shape({str(at): NODE for at in range(MAX_NODES)}, "workflow")) == MAX_NODES


nodes = st.fixed_dictionaries(
    {},
    optional={
        "class_type": st.sampled_from(["KSampler", "CLIPTextEncode", "EmptyLatentImage", "LoadImage"]) | json_values,
        "inputs": st.dictionaries(
            st.sampled_from(["positive", "negative", "seed", "text", "width", "model", "ckpt_name", "a.b", ""]),
            st.tuples(st.sampled_from(["1", "2", "1.a", "x"]), st.integers(-1, 3)).map(list) | json_values,
        )
        | json_values,
        "_meta": st.fixed_dictionaries({"title": st.sampled_from(["Seed", "Positive Prompt", ""])}) | json_values,
    },
)


@given(st.dictionaries(st.sampled_from(["1", "2", "3", "1.a", "#4", ""]), nodes | json_values) | json_values)
def test_garbage_is_refused_and_nothing_else_happens(garbage: Any) -> None:
    """Whatever is in a workflow, it is refused or understood, and each parameter found has a place in it."""
    try:
        workflow = check_shape(garbage, "workflow")
    except Refused:
        return
    for binding in discover(workflow):
        assert binding.inputs
        assert all(locate(workflow, place) for place in binding.inputs)
    find_cycle(workflow)
    assert set(upstream(workflow, *workflow)) == set(workflow)


@pytest.mark.parametrize("value", [["1", 0], ["a.b", 99], ["", -1]])
def test_links_are_known(value: Any) -> None:
    """A link is the id of a node as a text and a number."""
    assert is_link(value)


@pytest.mark.parametrize("value", [[], ["1"], ["1", 0, 0], [1, 0], ["1", "0"], ["1", 0.0], ["1", True], "1", None, {}])
def test_other_values_are_no_links(value: Any) -> None:
    """Whatever else there may be is no link."""
    assert not is_link(value)


def test_nodes_come_after_what_they_are_made_from() -> None:
    """In order, each node comes after its sources, in whatever order they are written."""
    assert in_order(TXT2IMG) == ["4", "6", "7", "5", "3", "8", "9"]
    assert in_order(links_only(a="b", b="a", c="")) == ["b", "a", "c"]


def test_upstream_is_what_a_node_is_made_from() -> None:
    """The nodes that others are made from are found, the nearest first, and each once."""
    assert upstream(TXT2IMG, "9") == ["9", "8", "3", "4", "6", "7", "5"]
    assert upstream(TXT2IMG, "5", "99", "7") == ["5", "7", "4"]
    assert upstream(links_only(a="b", b="a"), "a") == ["a", "b"]


@pytest.mark.parametrize(
    ("workflow", "cycle"),
    [
        (links_only(a="b", b="c", c=""), []),
        (links_only(a="bc", b="d", c="d", d=""), []),
        (links_only(a="x"), []),
        (links_only(a="a"), ["a", "a"]),
        (links_only(a="b", b="dc", c="b", d=""), ["b", "c", "b"]),
        (links_only(a="", b="c", c="d", d="b"), ["b", "c", "d", "b"]),
    ],
)
def test_cycles_are_found(workflow: dict[str, Any], cycle: list[str]) -> None:
    """Nodes that wait for each other are named in order, and a node that two others need is no cycle."""
    assert find_cycle(workflow) == cycle


def test_a_long_chain_is_no_trouble() -> None:
    """A workflow may be as deep as it likes."""
    chain = {str(at): {"class_type": "X", "inputs": {"i": [str(at + 1), 0]}} for at in range(5_000)}
    assert find_cycle(chain) == []
    assert len(upstream(chain, "0")) == 5_000


@pytest.mark.parametrize(
    ("place", "found"),
    [
        ("3.seed", ("3", "seed")),
        ("a.b.seed", ("a.b", "seed")),
        ("3.images.image0", ("3", "images.image0")),
        ("seed", None),
        ("99.seed", None),
        (".seed", None),
        ("1" * 1_000 + ".seed", None),
    ],
)
def test_places_are_split_where_a_node_is(place: str, found: tuple[str, str] | None) -> None:
    """Both ids and inputs may hold dots, the id that is there decides, and endless ones are not looked at."""
    assert locate({"3": NODE, "a.b": NODE, "1" * 1_000: NODE}, place) == found


def test_values_go_to_their_place() -> None:
    """An input is set and read by its place, and without such a node it is an error."""
    workflow = graph()
    put(workflow, "3.seed", 7)
    assert (get(workflow, "3.seed"), get(workflow, "3.nothing"), get(workflow, "99.seed")) == (7, None, None)
    with pytest.raises(KeyError):
        put(workflow, "99.seed", 7)
