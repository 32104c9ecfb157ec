"""Does a job fit its template, and the template the server? If not: which field, which value, and what would do?"""

from collections.abc import Iterator, Mapping
from typing import Any, Literal, cast

from msgspec import UNSET, structs

from stoker_daemon.recipes.object_info import Input, NodeClass, ObjectInfo
from stoker_daemon.recipes.template import Binding, Graph, Template, fill
from stoker_daemon.recipes.weights import weight_parameters
from stoker_protocol.codec import nearest, unpack_map
from stoker_protocol.errors import ErrorCode, Refused
from stoker_protocol.jobs import MAX_SEED, Parameter
from stoker_protocol.requests import Submit

_TYPES: dict[str, Literal["integer", "number", "string", "boolean"]] = {
    "INT": "integer",
    "FLOAT": "number",
    "STRING": "string",
    "BOOLEAN": "boolean",
}
_UPLOADED = frozenset({"image", "mask", "audio", "video"})
"""Parameters that name input files, which come with the job: what the server has now says nothing."""
MAX_CHOICES = 200
"""Choices that go into a description."""


def parameters_of(template: Template, info: ObjectInfo | None, *, with_inputs: bool = False) -> list[Parameter]:
    """The parameters of a template, with the bounds and choices of the server as far as it is known.

    `with_inputs`: also each input of the workflow that is no link, as `NODE.INPUT`.
    """
    found = [_refined(binding, template, info) for binding in template.bindings]
    return [*found, *_inputs(template.workflow, info)] if with_inputs else found


def check_shared(template: Template, request: Submit) -> None:
    """Are the names of the job's parameters known, and do no items choose models of their own?

    Raises:
        Refused: `bad_request`.
    """
    for name in unpack_map(request.params):
        if "." in name:
            check_place(template.workflow, name, f"params.{name}")
    choosing = weight_parameters(template)
    for index, item in enumerate(request.items):
        if item.params is UNSET:
            continue
        for name in choosing.intersection(unpack_map(item.params)):
            field = f"items[{index}].params.{name}"
            hint = "give it to the job: its items share what is loaded; other models make another job"
            raise Refused(ErrorCode.BAD_REQUEST, f"{field}: an item can't choose a model", field=field, hint=hint)


def check_place(graph: Graph, place: str, field: str) -> None:
    """Is there such an input, `NODE.INPUT`? Raises Refused: `bad_request`."""
    node, _, name = place.rpartition(".")
    if node not in graph:
        hint = f"nodes: {', '.join(_named_nodes(graph))}"
        raise Refused(ErrorCode.BAD_REQUEST, f"{field}: there is no node {node!r:.80}", field=field, hint=hint)
    if name not in graph[node]["inputs"]:
        near = nearest(name, list(graph[node]["inputs"])) or list(graph[node]["inputs"])
        message = f"{field}: node {node} has no input {name!r:.80}"
        raise Refused(ErrorCode.BAD_REQUEST, message, field=field, hint=f"inputs: {', '.join(near)}")


def check_graph(template: Template, request: Submit, info: ObjectInfo) -> None:
    """Does the server know the nodes of the workflow, and are their inputs what these take?

    What parameters say is checked with these. Raises Refused: `bad_request`.
    """
    graph = fill(template, unpack_map(request.params))
    field = "recipe" if request.workflow is UNSET else "workflow"
    bound = {place for binding in template.bindings for place in binding.inputs} | set(template.texts)
    has_output = False
    for node_id, node in graph.items():
        known = info.classes.get(node["class_type"])
        if known is None:
            raise _unknown_class(node_id, str(node["class_type"]), field, info)
        has_output = has_output or known.is_output
        _check_node(graph, node_id, known, bound, field, info)
    if not has_output:
        hint = "add a node such as SaveImage"
        raise Refused(ErrorCode.BAD_REQUEST, f"{field}: no node saves or shows anything", field=field, hint=hint)


def _check_node(graph: Graph, node_id: str, known: NodeClass, bound: set[str], field: str, info: ObjectInfo) -> None:
    given = graph[node_id]["inputs"]
    label = f"node {node_id} ({graph[node_id]['class_type']})"
    for name, expected in known.inputs.items():
        place = f"{field}.{node_id}.{name}"
        if name not in given:
            if expected.is_required:
                raise Refused(
                    ErrorCode.BAD_REQUEST, f"{label}: input {name} is missing", field=place, hint=expected.type
                )
        elif is_link(given[name]):
            _check_link(graph, given[name], expected, f"{label}, input {name}", place, info)
        elif f"{node_id}.{name}" not in bound and (why := problem(given[name], expected)):
            message = f"{label}, input {name}: {given[name]!r:.80} {why[0]}"
            raise Refused(ErrorCode.BAD_REQUEST, message, field=place, hint=why[1])


def is_link(value: object) -> bool:
    """Whether an input is a link to an output of another node."""
    if not isinstance(value, list) or len(pair := cast("list[Any]", value)) != 2:
        return False
    return isinstance(pair[0], str) and isinstance(pair[1], int)


def problem(value: Any, expected: Input) -> tuple[str, str] | None:
    """What is wrong with a value for an input, and what would do; None: nothing that is known here.

    The server converts what it can, so a text of digits is a number.
    """
    if expected.choices is not None:
        return None if value in expected.choices else _not_a_choice(value, expected.choices)
    kind = _TYPES.get(expected.type)
    if kind in ("integer", "number"):
        try:
            number = int(value) if kind == "integer" else float(value)
        except (TypeError, ValueError):
            return f"is not a{'n' if kind == 'integer' else ''} {kind}", _span(kind, expected.options)
        low, high = expected.options.get("min"), expected.options.get("max")
        if (low is not None and number < low) or (high is not None and number > high):
            return "is out of range", _span(kind, expected.options)
    return None


def _not_a_choice(value: Any, choices: tuple[Any, ...]) -> tuple[str, str]:
    words = [str(choice) for choice in choices]
    near = nearest(str(value), words)
    if near:
        return "is not there", f"did you mean {' or '.join(near)}?"
    return "is not there", f"there are: {', '.join(words[:20])}" if words else "there are none on the server"


def _span(kind: str, options: Mapping[str, Any]) -> str:
    low, high = options.get("min"), options.get("max")
    return f"{kind} from {low} to {high}" if low is not None and high is not None else kind


def _check_link(graph: Graph, link: list[Any], expected: Input, label: str, place: str, info: ObjectInfo) -> None:
    """A link goes to an output that there is, of the type that is expected."""
    source: str = link[0]
    slot: int = link[1]
    if source not in graph:
        hint = f"nodes: {', '.join(_named_nodes(graph))}"
        raise Refused(ErrorCode.BAD_REQUEST, f"{label}: a link to node {source!r:.80}", field=place, hint=hint)
    known = info.classes.get(graph[source]["class_type"])
    if known is None:
        return
    if not 0 <= slot < len(known.outputs):
        hint = f"node {source} has outputs 0 to {len(known.outputs) - 1}" if known.outputs else "it has no outputs"
        raise Refused(ErrorCode.BAD_REQUEST, f"{label}: a link to output {slot}", field=place, hint=hint)
    given: str = known.outputs[slot]
    if expected.choices is None and not _fit(given, expected.type):
        message = f"{label}: a link to {given} where {expected.type} is expected"
        raise Refused(ErrorCode.BAD_REQUEST, message, field=place, hint=f"link an output of type {expected.type}")


def _fit(given: str, expected: str) -> bool:
    """Types may be lists of types, and `*` is any; a choice may come from any text."""
    if "*" in (given, expected) or "COMBO" in (given, expected):
        return True
    return not set(given.split(",")).isdisjoint(expected.split(","))


def _refined(binding: Binding, template: Template, info: ObjectInfo | None) -> Parameter:
    """A parameter as the server would take it: no wider than either the recipe or the server says."""
    own = binding.parameter
    own = structs.replace(own, default=template.defaults.get(own.name, own.default))
    expected = next(filter(None, (_declared(template.workflow, place, info) for place in binding.inputs)), None)
    if expected is None or own.name in _UPLOADED:
        return own
    if expected.choices is not None:
        return structs.replace(own, choices=list(own.choices or expected.choices))
    kind = _TYPES.get(expected.type, own.type)
    if kind not in ("integer", "number"):
        return structs.replace(own, type=kind)
    low, high = _narrower(own, expected.options)
    return structs.replace(own, type=kind, minimum=low, maximum=high)


def _narrower(own: Parameter, options: Mapping[str, Any]) -> tuple[int | float | None, int | float | None]:
    lows = [low for low in (own.minimum, options.get("min")) if low is not None]
    highs = [high for high in (own.maximum, options.get("max")) if high is not None]
    return max(lows, default=None), min([*highs, MAX_SEED]) if highs else None


def _declared(graph: Graph, place: str, info: ObjectInfo | None) -> Input | None:
    node, _, name = place.rpartition(".")
    known = info.classes.get(graph[node]["class_type"]) if info and node in graph else None
    return known.inputs.get(name) if known else None


def _inputs(graph: Graph, info: ObjectInfo | None) -> Iterator[Parameter]:
    """Each input that is a plain value, for those who name it by its place."""
    kinds: dict[Any, Literal["integer", "number", "string", "boolean"]] = {
        bool: "boolean",
        int: "integer",
        float: "number",
        str: "string",
    }
    for node_id, node in graph.items():
        for name, value in node["inputs"].items():
            kind = kinds.get(cast("Any", type(value)))
            if kind is not None:
                place = f"{node_id}.{name}"
                yield _refined(Binding(Parameter(place, kind), [place]), Template("", graph, []), info)


def _named_nodes(graph: Graph) -> list[str]:
    return [f"{node_id} ({node['class_type']})" for node_id, node in list(graph.items())[:20]]


def _unknown_class(node_id: str, class_type: str, field: str, info: ObjectInfo) -> Refused:
    near = nearest(class_type, info.classes)
    hint = f"did you mean {' or '.join(near)}?" if near else "is a node pack missing on the server?"
    message = f"node {node_id}: the server has no node class {class_type!r:.80}"
    return Refused(ErrorCode.BAD_REQUEST, message, field=f"{field}.{node_id}.class_type", hint=hint)
