"""The page on recipes: what it shows works, and what it lists is all there is."""

import re
import tomllib
from pathlib import Path

from tests.daemon.recipes.servers import graph

from stoker_daemon.recipes.graph import MAX_NODES
from stoker_daemon.recipes.parsing import parse_recipe
from stoker_daemon.recipes.template import fill
from stoker_daemon.recipes.vocabulary import TITLES

PAGE = (Path(__file__).parents[3] / "docs/recipes.md").read_text(encoding="utf-8")


def test_the_example_does_what_it_says() -> None:
    """The map on the page is understood, and its parameters go where it says."""
    lora = {"lora_name": "", "strength_model": 1.0, "strength_clip": 1.0, "model": ["4", 0], "clip": ["4", 1]}
    clip = {"clip": ["10", 1]}
    workflow = graph(n10=("LoraLoader", lora), n3={"model": ["10", 0]}, n6=clip, n7=clip)
    example = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)[0]
    recipe = parse_recipe("knight", workflow, tomllib.loads(example))
    made = recipe.template({"prompt"}, items=3)
    filled = fill(made, made.numbered({"prompt": "a knight", "size": 64}, 1))
    assert filled["6"]["inputs"] == {"text": "a knight, knight 2 of 3", "clip": ["4", 1]}
    assert (filled["5"]["inputs"]["width"], filled["3"]["inputs"]["model"], "10" in filled) == (64, ["4", 0], False)
    assert "10" in recipe.template({"lora_strength"}).workflow


def test_all_titles_are_listed() -> None:
    """The page names each title that has a meaning, and no other."""
    listed = re.search(r"has the parameter:\n(.*?)\n2\.", PAGE, re.DOTALL)
    assert listed is not None
    assert sorted(title.casefold() for title in re.findall(r"`([^`]+)`", listed[1])) == sorted(TITLES)
    assert f"at most {MAX_NODES} nodes" in PAGE
