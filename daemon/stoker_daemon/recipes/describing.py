"""The parameters of a template as the server would take them: with its types, bounds and choices."""

from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import structs

from stoker_daemon.recipes.graph import Graph, is_link, locate
from stoker_daemon.recipes.object_info import TYPES, Input, ObjectInfo
from stoker_daemon.recipes.template import Binding, Template
from stoker_daemon.recipes.vocabulary import kind_of
from stoker_protocol.jobs import MAX_SEED, Parameter


def parameters_of(template: Template, info: ObjectInfo | None, *, with_inputs: bool = False) -> list[Parameter]:
    """The parameters of a template, with the bounds and choices of the server as far as it is known.

    `with_inputs`: also each input of the workflow that takes a plain value, as `NODE.INPUT`.
    """
    found = [_with_default(binding, template, info) for binding in template.bindings]
    return [*found, *_inputs(template.workflow, info)] if with_inputs else found


def declared(graph: Graph, place: str, info: ObjectInfo | None) -> Input | None:
    """What the server says of an input."""
    found = locate(graph, place)
    known = info.classes.get(graph[found[0]]["class_type"]) if info and found else None
    return known.inputs.get(found[1]) if known and found else None


def _with_default(binding: Binding, template: Template, info: ObjectInfo | None) -> Parameter:
    own = binding.parameter
    default = template.defaults.get(own.name, own.default)
    parameter = structs.replace(own, default=default, required=own.required and default is None)
    return _refined(parameter, [declared(template.workflow, place, info) for place in binding.inputs])


def _inputs(graph: Graph, info: ObjectInfo | None) -> Iterator[Parameter]:
    """Each input that takes a plain value, also where another node gives it, for those who name it by its place."""
    for node_id, node in graph.items():
        for name, value in node["inputs"].items():
            place = f"{node_id}.{name}"
            expected = declared(graph, place, info)
            kind = kind_of(value)
            if kind == "integer" and expected is None:
                kind = "number"  # as it may be: a cfg of 8 is written like that
            if kind is None and expected is not None and is_link(value):
                kind = TYPES.get(expected.type)
            if kind is not None:
                yield _refined(Parameter(place, kind), [expected])


def _refined(own: Parameter, places: list[Input | None]) -> Parameter:
    """A parameter no wider than either the recipe or the server says."""
    expected = next(filter(None, places), None)
    if expected is None or expected.is_file:
        return own
    if expected.choices is not None:
        return structs.replace(own, choices=own.choices or expected.choices)
    kind = TYPES.get(expected.type, own.type)
    if kind not in ("integer", "number"):
        return structs.replace(own, type=kind)
    low, high = _narrower(own, expected.options)
    return structs.replace(own, type=kind, minimum=low, maximum=high)


def _narrower(own: Parameter, options: Mapping[str, Any]) -> tuple[int | float | None, int | float | None]:
    lows = [low for low in (own.minimum, options.get("min")) if low is not None]
    highs = [high for high in (own.maximum, options.get("max")) if high is not None]
    return max(lows, default=None), min([*highs, MAX_SEED]) if highs else None
