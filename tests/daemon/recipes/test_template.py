"""What the items of a job are made by: parameters put into a workflow."""

from copy import deepcopy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from tests.daemon.recipes.servers import TXT2IMG
from tests.protocol.strategies import json_values

from stoker_daemon.recipes import template as templates
from stoker_daemon.recipes.graph import get
from stoker_daemon.recipes.template import Binding, Template, fill
from stoker_protocol.jobs import Parameter

TEMPLATE = Template(
    "txt2img",
    TXT2IMG,
    [
        Binding(Parameter("prompt", "string"), []),
        Binding(Parameter("frame", "integer"), []),
        Binding(Parameter("steps", "integer", default=20), ["3.steps"]),
        Binding(Parameter("cfg", "number", default=8.0), ["3.cfg"]),
        Binding(Parameter("size", "integer"), ["5.width", "5.height"]),
    ],
    texts={"6.text": "{prompt}, frame {frame}"},
    defaults={"cfg": 7.0},
    index="frame",
)


def test_each_value_goes_to_its_inputs() -> None:
    """Given values come before those of a profile, these before the recipe's own, and a place may be named itself."""
    filled = fill(TEMPLATE, {"prompt": "a fox", "frame": 2, "size": 64, "8.vae": ["4", 1]})
    places = ("6.text", "3.steps", "3.cfg", "5.width", "5.height", "8.vae", "3.seed")
    assert [get(filled, place) for place in places] == ["a fox, frame 2", 20, 7.0, 64, 64, ["4", 1], 1]


def test_what_is_not_given_is_left_out_of_texts() -> None:
    """A text with a parameter that nobody gave has nothing in its place."""
    assert get(fill(TEMPLATE, {}), "6.text") == ", frame "


def test_braces_in_a_prompt_are_only_braces() -> None:
    """What people write is put into a text as it is, even where it looks like a place for something."""
    assert get(fill(TEMPLATE, {"prompt": "{frame} {0} {", "frame": 1}), "6.text") == "{frame} {0} {, frame 1"


def test_items_know_their_place() -> None:
    """An item has its number from 1, unless it says another one, or the recipe does not count."""
    assert TEMPLATE.numbered({"prompt": "a"}, 0) == {"prompt": "a", "frame": 1}
    assert TEMPLATE.numbered({"frame": 7}, 0) == {"frame": 7}
    assert Template("", {}, []).numbered({"prompt": "a"}, 3) == {"prompt": "a"}


@given(st.dictionaries(st.sampled_from(["prompt", "frame", "steps", "size", "cfg", "3.seed", "x"]), json_values))
def test_filling_changes_no_template(params: dict[str, Any]) -> None:
    """The workflow of one item never shows in that of another, and what a job keeps is what it was given."""
    before = deepcopy(TEMPLATE.workflow)
    fill(TEMPLATE, params)
    assert before == TEMPLATE.workflow
    assert templates.decode(templates.encode(TEMPLATE)) == TEMPLATE
    assert fill(templates.decode(templates.encode(TEMPLATE)), params) == fill(TEMPLATE, params)
