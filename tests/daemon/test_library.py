"""Recipes in files: those of a folder of one's own, beside the ones that come with Stoker."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.daemon.recipes.servers import graph

from stoker_daemon.library import MAX_FILE, LibraryError, load_library

SHIPPED = set(load_library(None, []).recipes)
STEPS = 'summary = "Mine"\n[parameters]\nsteps = { inputs = ["3.steps"] }'


def write(folder: Path, **files: Any) -> Path:
    """A folder with these files; `a_json` becomes `a.json`, and what is no text is written as JSON."""
    for name, content in files.items():
        stem, _, suffix = name.rpartition("_")
        path = folder / f"{stem}.{suffix}"
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return folder


def test_a_recipe_is_a_workflow_and_its_map(tmp_path: Path) -> None:
    """A workflow with a map beside it is a recipe with the parameters that the map says."""
    library = load_library(write(tmp_path, mine_json=graph(), mine_toml=STEPS), [])
    mine = library.recipe("mine")
    assert (mine.summary, mine.names, set(library.recipes) - SHIPPED) == ("Mine", {"steps"}, {"mine"})


def test_a_workflow_alone_is_a_recipe(tmp_path: Path) -> None:
    """Without a map the parameters are found, as with a workflow that comes with a job."""
    mine = load_library(write(tmp_path, mine_json=graph()), []).recipe("mine")
    assert {"prompt", "steps", "model"} <= mine.names


def test_a_recipe_of_ones_own_comes_first(tmp_path: Path) -> None:
    """A recipe that is called like one of Stoker's takes its place."""
    library = load_library(write(tmp_path, txt2img_json=graph(), txt2img_toml=STEPS), [])
    assert (library.recipe("txt2img").summary, set(library.recipes)) == ("Mine", SHIPPED)


def test_other_files_are_no_trouble(tmp_path: Path) -> None:
    """What is neither a workflow nor a map may lie in the folder."""
    write(tmp_path, notes_txt="x")
    (tmp_path / "sub.d").mkdir()
    assert set(load_library(tmp_path, []).recipes) == SHIPPED


def test_a_byte_order_mark_is_no_trouble(tmp_path: Path) -> None:
    """Files that an editor of Windows wrote are read as well."""
    write(tmp_path, mine_json="\ufeff" + json.dumps(graph()), mine_toml="\ufeff" + STEPS)
    assert load_library(tmp_path, []).recipe("mine").names == {"steps"}


@pytest.mark.parametrize(
    ("files", "complaint"),
    [
        ({"a_json": "{"}, "a.json: not JSON: Expecting property name"),
        ({"a_json": "[" * 100_000}, "a.json: not JSON: maximum recursion depth exceeded"),
        ({"a_json": '{"1": ' + "9" * 30 + "}"}, "a.json: not JSON: the number 9999"),
        ({"a_json": "x" * (MAX_FILE + 1)}, f"a.json: more than {MAX_FILE} bytes"),
        ({"a_json": {"nodes": [], "links": []}}, "a.json: a: this is a file of ComfyUI's editor, which its server"),
        ({"a_json": {"1": {}}}, "a.json: a.1.class_type: node '1' has no class_type; a map of nodes"),
        ({"a_json": graph(), "a_toml": "x ="}, "a.toml: not TOML: Invalid value"),
        ({"a_json": graph(), "a_toml": "sumary = 'x'"}, "a.toml: there is no key sumary; did you mean summary?"),
        ({"a_toml": STEPS}, "a.toml: there is no a.json beside it; export one with Workflow → Export (API)"),
        ({"workflow_json": graph()}, "workflow.json: the name 'workflow' is taken; rename the file"),
        ({"My Own_json": graph()}, "My Own.json: the name 'My Own' is not of lower-case letters, digits, - and _"),
    ],
)
def test_a_recipe_that_is_wrong_is_named(tmp_path: Path, files: dict[str, Any], complaint: str) -> None:
    """A file that can't be used is told by its path, with what is wrong in it and what would do."""
    with pytest.raises(LibraryError) as refused:
        load_library(write(tmp_path, **files), [])
    assert str(refused.value).startswith(f"{tmp_path}/{complaint}")


def test_what_can_not_be_read_is_named(tmp_path: Path) -> None:
    """A folder that is not there, a file that is a folder and bytes that are no text are told by their paths."""
    with pytest.raises(LibraryError, match=r"nowhere: no such file or directory$"):
        load_library(tmp_path / "nowhere", [])
    (tmp_path / "a.json").mkdir()
    with pytest.raises(LibraryError, match=r"a\.json: is a directory$"):
        load_library(tmp_path, [])
    (tmp_path / "a.json").rmdir()
    (tmp_path / "a.json").write_bytes(b"\xff\xfe{")
    with pytest.raises(LibraryError, match=r"a\.json: not UTF-8: "):
        load_library(tmp_path, [])
