"""Reads recipes from their files: those that come with Stoker, and the user's own."""

import json
import re
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from stoker_daemon.recipes.discovery import discover
from stoker_daemon.recipes.graph import check_shape
from stoker_daemon.recipes.library import OWN_WORKFLOW, Library
from stoker_daemon.recipes.parsing import BadRecipe, parse_recipe
from stoker_daemon.recipes.profiles import BUILT_IN
from stoker_daemon.recipes.recipe import Recipe
from stoker_protocol.errors import Refused
from stoker_protocol.jobs import Profile

SHIPPED = Path(__file__).parent / "recipes" / "built_in"
MAX_FILE = 1 << 20
"""Bytes of one file of a recipe, as many as a workflow in a submit may have."""


class LibraryError(Exception):
    """A recipe can't be used; the text names the file, the key, the value, and what would do."""


def load_library(folder: Path | None, profiles: Sequence[Profile]) -> Library:
    """All recipes, those of `folder` over the built-in ones, and the built-in profiles with `profiles` over them.

    Raises:
        LibraryError: The folder or a file in it can't be read, or says what makes no sense.
    """
    folders = [SHIPPED] if folder is None else [SHIPPED, folder]
    recipes = {recipe.name: recipe for each in folders for recipe in _recipes(each)}
    return Library(recipes, {profile.name: profile for profile in (*BUILT_IN, *profiles)})


def _recipes(folder: Path) -> Iterator[Recipe]:
    """A recipe for each workflow, `NAME.json`, with its map, `NAME.toml`, if there is one."""
    try:
        files = sorted(path for path in folder.iterdir() if path.suffix in (".json", ".toml"))
    except OSError as error:
        raise _trouble(folder, error) from None
    for path in files:
        workflow = path.with_suffix(".json")
        if workflow not in files:
            raise LibraryError(
                f"{path}: there is no {workflow.name} beside it; export one with Workflow → Export (API)"
            )
        if path == workflow:
            yield _recipe(workflow, path.with_suffix(".toml"))


def _recipe(workflow: Path, table: Path) -> Recipe:
    name = workflow.stem
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,63}", name) or name == OWN_WORKFLOW:
        what = "taken" if name == OWN_WORKFLOW else "not of lower-case letters, digits, - and _ (at most 64)"
        raise LibraryError(f"{workflow}: the name {name!r} is {what}; rename the file")
    try:
        graph = check_shape(_json(workflow), name)
    except Refused as refused:
        raise LibraryError(f"{workflow}: {refused.message}; {refused.hint}") from None
    if not table.exists():
        return Recipe(name, "", graph, discover(graph), {})
    try:
        return parse_recipe(name, graph, tomllib.loads(_text(table)))
    except tomllib.TOMLDecodeError as error:
        raise LibraryError(f"{table}: not TOML: {error}") from None
    except BadRecipe as error:
        raise LibraryError(f"{table}: {error}") from None


def _json(path: Path) -> Any:
    try:
        return json.loads(_text(path), parse_int=_integer)
    except (ValueError, RecursionError) as error:
        raise LibraryError(f"{path}: not JSON: {error}") from None


def _integer(digits: str) -> int:
    if not -(2**63) <= (number := int(digits)) < 2**64:
        raise ValueError(f"the number {digits:.40} is too large")
    return number


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE + 1)
    except OSError as error:
        raise _trouble(path, error) from None
    if len(data) > MAX_FILE:
        raise LibraryError(f"{path}: more than {MAX_FILE} bytes")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise LibraryError(f"{path}: not UTF-8: {error}") from None


def _trouble(path: Path, error: OSError) -> LibraryError:
    return LibraryError(f"{path}: {(error.strerror or str(error)).lower()}")
