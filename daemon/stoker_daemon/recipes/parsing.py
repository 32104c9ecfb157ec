"""A recipe from its two files: the workflow, and the map that says what its parameters are called."""

import re
import string
from collections.abc import Iterator, Mapping
from typing import Any, cast, get_args

import msgspec
from msgspec import Struct, structs

from stoker_daemon.jobs.parameters import check_parameters
from stoker_daemon.recipes.graph import Graph, Link, get, is_link, links, locate
from stoker_daemon.recipes.recipe import Recipe
from stoker_daemon.recipes.template import Binding
from stoker_daemon.recipes.vocabulary import PARAMETERS, Kind, kind_of
from stoker_protocol.codec import did_you_mean
from stoker_protocol.errors import Refused
from stoker_protocol.jobs import Parameter


class BadRecipe(ValueError):
    """A recipe can't be used; the text names the key, the value, and what would do."""


class _Said(Struct, frozen=True, forbid_unknown_fields=True):
    """`[parameters.NAME]`. What is left out follows from the name, and from what the workflow has there."""

    inputs: list[str] = []
    type: Kind | None = None
    default: str | int | float | bool | None = None
    minimum: int | float | None = None
    maximum: int | float | None = None
    choices: list[str | int | float | bool] | None = None
    required: bool = False
    help: str = ""


class _Map(Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file."""

    summary: str = ""
    parameters: dict[str, Any] = {}
    texts: dict[str, str] = {}
    without: dict[str, dict[str, list[Any]]] = {}
    index: str = ""
    count: str = ""
    one_seed: bool = False


def parse_recipe(name: str, workflow: Graph, said: Mapping[str, Any]) -> Recipe:
    """Put a workflow and its map together.

    Raises:
        BadRecipe: They don't fit, or the map says what makes no sense.
    """
    for key in ("parameters", "texts", "without"):
        if not isinstance(said.get(key, {}), dict):
            raise BadRecipe(f"{key} = {said[key]!r:.80}: not a table")
    table = _convert(said, _Map, "")
    bindings = tuple(_binding(key, value, workflow) for key, value in table.parameters.items())
    recipe = Recipe(
        name,
        table.summary,
        workflow,
        bindings,
        table.texts,
        table.without,
        table.index,
        table.count,
        table.one_seed,
    )
    _check_texts(recipe)
    _check_numbering(recipe)
    _check_uses(recipe)
    _check_detours(recipe)
    return recipe


def _convert(table: Any, kind: type[Any], prefix: str) -> Any:
    try:
        return msgspec.convert(table, kind)
    except msgspec.ValidationError as error:
        raise BadRecipe(_explain(str(error), prefix, kind, table)) from None


def _explain(message: str, prefix: str, kind: type[Struct], table: Any) -> str:
    what, _, place = message.partition(" - at `$")
    known = [info.name for info in structs.fields(kind)]
    if unknown := re.fullmatch(r"Object contains unknown field `(.*)`", what):
        return f"there is no key {prefix}{unknown[1]}; {_or(unknown[1], known)}"
    field = re.split(r"[`.\[]", place.removeprefix("."))[0]
    said = (what[:1].lower() + what[1:]).replace("`object`", "a table").replace("`array`", "a list")
    if "enum value" in what:  # which only the type has
        said = f"expected {', '.join(get_args(Kind))}"
    at = f"{prefix}{field} = {table[field]!r:.80}" if field else f"{prefix.rstrip('.')} = {table!r:.80}"
    return f"{at}: {said}"


def _or(word: str, known: list[str]) -> str:
    return did_you_mean(word, known) or f"known: {', '.join(known) or 'none'}"


def _binding(name: str, table: Any, workflow: Graph) -> Binding:
    key = f"parameters.{name}"
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,63}", name):
        raise BadRecipe(f"{key}: a name is of lower-case letters, digits and _ (at most 64)")
    said: _Said = _convert(table, _Said, f"{key}.")
    for place in said.inputs:
        _check_place(place, workflow, f"{key}.inputs")
    parameter = _parameter(name, said, [get(workflow, place) for place in said.inputs])
    if parameter.default is not None:
        try:
            check_parameters({name: parameter.default}, {name: parameter}, "parameters")
        except Refused as refused:
            raise BadRecipe(f"{key}.default = {parameter.default!r:.80}: expected {refused.hint}") from None
    return Binding(parameter, said.inputs)


def _parameter(name: str, said: _Said, found: list[Any]) -> Parameter:
    own = next((value for value in found if kind_of(value)), None)
    usual = PARAMETERS.get(name, Parameter(name, kind_of(own) or "string"))
    has_own = own not in (None, "") and name != "seed" and not said.required
    return Parameter(
        name,
        said.type or usual.type,
        default=own if said.default is None and has_own else said.default,
        minimum=usual.minimum if said.minimum is None else said.minimum,
        maximum=usual.maximum if said.maximum is None else said.maximum,
        choices=cast("list[Any] | None", said.choices),
        required=said.required,
        help=said.help or usual.help,
    )


def _check_place(place: str, workflow: Graph, key: str) -> None:
    found = locate(workflow, place)
    if found is None:
        node = place.rpartition(".")[0] or place
        raise BadRecipe(f"{key}: {place!r}: the workflow has no node {node!r}; {_or(node, list(workflow))}")
    node, name = found
    inputs: dict[str, Any] = workflow[node]["inputs"]
    if name not in inputs:
        raise BadRecipe(f"{key}: {place!r}: node {node!r} has no input {name!r}; {_or(name, list(inputs))}")


def _check_texts(recipe: Recipe) -> None:
    for place, text in recipe.texts.items():
        key = f"texts.{place!r}"
        _check_place(place, recipe.workflow, "texts")
        try:
            fields = list(string.Formatter().parse(text))
        except ValueError as error:
            raise BadRecipe(f"{key} = {text!r:.80}: {error}; a brace that stays is written twice") from None
        for _, name, form, conversion in fields:
            if name is not None and (name not in recipe.names or form or conversion):
                known = ", ".join(f"{{{known}}}" for known in sorted(recipe.names))
                raise BadRecipe(f"{key} = {text!r:.80}: {{{name}}} is no parameter; known: {known}")


def _check_numbering(recipe: Recipe) -> None:
    kinds = {binding.parameter.name: binding.parameter.type for binding in recipe.bindings}
    for key, name in (("index", recipe.index), ("count", recipe.count)):
        if name and kinds.get(name) != "integer":
            raise BadRecipe(f"{key} = {name!r}: not the name of a parameter of type integer")


def _check_uses(recipe: Recipe) -> None:
    used = {name for text in recipe.texts.values() for _, name, _, _ in string.Formatter().parse(text)}
    for binding in recipe.bindings:
        name = binding.parameter.name
        if not binding.inputs and name not in used:
            raise BadRecipe(f'parameters.{name}: it goes nowhere; say inputs = ["NODE.INPUT"], or name it in a text')


def _check_detours(recipe: Recipe) -> None:
    """What is left of the workflow without an optional part must hold together."""
    for name, detour in recipe.without.items():
        if not any(binding.inputs for binding in recipe.bindings if binding.parameter.name == name):
            raise BadRecipe(f"without.{name}: not a parameter with inputs; {_or(name, sorted(recipe.names))}")
        for place, link in detour.items():
            _check_place(place, recipe.workflow, f"without.{name}")
            if not is_link(link) or link[0] not in recipe.workflow:
                raise BadRecipe(f'without.{name}.{place!r} = {link!r:.80}: not a link, ["NODE", OUTPUT]')
    for name, left in _variants(recipe):
        for node_id, source in _dangling(left):
            raise BadRecipe(f"without.{name}: node {node_id!r} is still linked to {source!r}, which is left out")


def _variants(recipe: Recipe) -> Iterator[tuple[str, Graph]]:
    """The workflow without each of its optional parts, and without all of them."""
    others = {name: recipe.names - {name} for name in recipe.without}
    for name, given in [*others.items(), *((name, set[str]()) for name in recipe.without)]:
        try:
            yield name, recipe.template(given).workflow
        except KeyError as error:
            raise BadRecipe(f"without.{name}: it is about node {error}, which is left out, too") from None


def _dangling(graph: Graph) -> Iterator[tuple[str, Link]]:
    for node_id, node in graph.items():
        for _, link in links(node):
            if link[0] not in graph:
                yield node_id, link[0]
