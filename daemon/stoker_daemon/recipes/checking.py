"""Whether a job fits its template, and the template the server; if not: which field, which value, what would do."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from msgspec import UNSET

from stoker_daemon.recipes.describing import declared
from stoker_daemon.recipes.given import maps_of, names_everywhere
from stoker_daemon.recipes.graph import Graph, find_cycle, is_link, locate, upstream
from stoker_daemon.recipes.object_info import TYPES, Input, NodeClass, ObjectInfo
from stoker_daemon.recipes.template import Template, fill
from stoker_daemon.recipes.weights import weight_parameters
from stoker_protocol.codec import did_you_mean, nearest, unpack_map
from stoker_protocol.errors import ErrorCode, Refused
from stoker_protocol.requests import Submit

UPLOADED = "blob:"
"""How the name of a file begins that comes with the job."""
_LISTED = 20
"""Names that a hint lists at most."""


def check_shared(template: Template, request: Submit) -> None:
    """Are the names of the job's parameters known, and do no items choose models of their own?

    Raises:
        Refused: `bad_request`.
    """
    shared = unpack_map(request.params)
    for name in shared:
        if "." in name:
            _check_place(template.workflow, name, f"params.{name:.80}")
    if request.model and shared.get("model", request.model) != request.model:
        message = f"params.model: {shared['model']!r:.80} is not the job's model, {request.model!r:.80}"
        raise _refused(message, "params.model", "say it once")
    choosing = weight_parameters(template)
    for field, params in maps_of(request):
        for name in choosing.intersection(params) if field != "params" else ():
            hint = "give it to the job: its items share what is loaded; other models make another job"
            raise _refused(f"{field}.{name}: an item can't choose a model", f"{field}.{name}", hint)


def check_graph(template: Template, request: Submit, info: ObjectInfo) -> None:
    """Would the server take the workflow of the job, and has it the files that items name?

    Checked is what the server checks: what outputs are made from. What items give besides is not checked here, since
    parameters are told better than inputs.

    Raises:
        Refused: `bad_request`.
    """
    graph = fill(template, unpack_map(request.params))
    field = "recipe" if request.workflow is UNSET else "workflow"
    for node_id, node in graph.items():
        if node["class_type"] not in info.classes:
            raise _unknown_class(node_id, node["class_type"], field, info)
    outputs = [node_id for node_id, node in graph.items() if info.classes[node["class_type"]].is_output]
    if not outputs:
        raise _refused(f"{field}: no node saves or shows anything", field, "add a node such as SaveImage")
    used = upstream(graph, *outputs)
    if cycle := find_cycle({node_id: graph[node_id] for node_id in used}):
        path = " → ".join(_label(graph, node_id) for node_id in cycle)
        raise _refused(f"{field}: nodes wait for each other: {path}", f"{field}.{cycle[0]}", "cut one of these links")
    check = _Check(graph, info, field, _fields(template, request))
    for node_id in used:
        check.node(node_id)
    _check_files(template, request, info)


@dataclass(frozen=True, slots=True)
class _Check:
    """One workflow beside what the server says. `fields`: who else than the workflow gives an input; None: checked."""

    graph: Graph
    info: ObjectInfo
    field: str
    fields: Mapping[tuple[str, str], str | None]

    def node(self, node_id: str) -> None:
        """Check the inputs of a node. Raises Refused."""
        given: dict[str, Any] = self.graph[node_id]["inputs"]
        known = self.info.classes[self.graph[node_id]["class_type"]]
        for name, expected in known.inputs.items():
            if expected.is_needed and not any(each == name or each.startswith(f"{name}.") for each in given):
                message = f"{_label(self.graph, node_id)}: input {name} is missing"
                raise _refused(message, f"{self.field}.{node_id}.{name}", f"of type {expected.type}")
        for name, value in given.items():
            self._input(node_id, name, value, known.inputs.get(name))

    def _input(self, node_id: str, name: str, value: Any, expected: Input | None) -> None:
        field = self.fields.get((node_id, name), f"{self.field}.{node_id}.{name}")
        label = f"{_label(self.graph, node_id)}, input {name}"
        if is_link(value):
            self._link(value[0], value[1], expected, label, f"{self.field}.{node_id}.{name}")
        elif expected is None or field is None:
            return
        elif isinstance(value, list):
            hint = '["NODE", OUTPUT], the id of a node as a text and the number of its output'
            raise _refused(f"{label}: {value!r:.80} is no link", field, hint)
        elif why := _problem(value, expected):
            raise _refused(f"{label}: {value!r:.80} {why[0]}", field, why[1])

    def _link(self, source: str, output: int, expected: Input | None, label: str, field: str) -> None:
        """A link goes to an output that there is, of the type that is expected."""
        if source not in self.graph:
            raise _refused(f"{label}: there is no node {source!r:.80} to link to", field, _nodes(self.graph))
        known: NodeClass = self.info.classes[self.graph[source]["class_type"]]
        if not 0 <= output < len(known.outputs):
            hint = f"it has outputs 0 to {len(known.outputs) - 1}" if known.outputs else "it has no outputs"
            raise _refused(f"{label}: {_label(self.graph, source)} has no output {output}", field, hint)
        given = known.outputs[output]
        if expected is not None and not _fit(given, expected.type):
            message = f"{label}: a link to {given} where {expected.type} is expected"
            raise _refused(message, field, f"link an output of type {expected.type}")


def _fields(template: Template, request: Submit) -> dict[tuple[str, str], str | None]:
    """Whom a value is from, for inputs that are not as the workflow has them; None: from the job, and checked there."""
    given = names_everywhere(request)
    fields: dict[str, str | None] = dict.fromkeys([*template.texts, *(n for n in given if "." in n)])
    for binding in template.bindings:
        name = binding.parameter.name
        if name in given or binding.parameter.required:
            fields |= dict.fromkeys(binding.inputs)
        elif name in template.defaults:
            fields |= dict.fromkeys(binding.inputs, "model" if name == "model" else f"profile.{name}")
    return {found: field for place, field in fields.items() if (found := locate(template.workflow, place))}


def _check_files(template: Template, request: Submit, info: ObjectInfo) -> None:
    """Files that are not sent with the job must be at the server."""
    places = {binding.parameter.name: binding.inputs for binding in template.bindings}
    known: dict[str, Input | None] = {}
    for field, params in maps_of(request):
        for name, value in params.items():
            if name not in known:
                expected = (declared(template.workflow, place, info) for place in places.get(name, [name]))
                known[name] = next((each for each in expected if each and each.is_file), None)
            if (expected := known[name]) and (why := _problem(value, expected)):
                raise _refused(f"{field}.{name}: {value!r:.80} {why[0]}", f"{field}.{name}", why[1])


def _problem(value: Any, expected: Input) -> tuple[str, str] | None:
    """What is wrong with a value for an input, and what would do; None: nothing that is known here.

    The server converts what it can, so a text of digits is a number.
    """
    value = _unwrapped(value)
    if expected.is_file:
        return _file_problem(value, expected.choices or ())
    if expected.choices is not None:
        chosen = cast("list[Any]", value) if isinstance(value, list) else [value]
        return next((_not_a_choice(each, expected.choices) for each in chosen if each not in expected.choices), None)
    kind = TYPES.get(expected.type)
    if kind not in ("integer", "number"):
        return None
    try:
        number = int(value) if kind == "integer" else float(value)
    except (TypeError, ValueError, OverflowError):
        return f"is not a{'n' if kind == 'integer' else ''} {kind}", _span(kind, expected.options)
    low, high = expected.options.get("min"), expected.options.get("max")
    if (low is not None and number < low) or (high is not None and number > high):
        return "is out of range", _span(kind, expected.options)
    return None


def _unwrapped(value: Any) -> Any:
    """Lists that are no links are given as `{"__value__": [...]}`."""
    return cast("dict[str, Any]", value).get("__value__", value) if isinstance(value, dict) else value


def _file_problem(value: Any, choices: Iterable[Any]) -> tuple[str, str] | None:
    """The server lists what lies directly in its input folder, and takes also what lies deeper, or in other ones."""
    if not isinstance(value, str) or not value:
        return "is no name of a file", "send one with the job"
    if value.startswith(("/", "\\")) or ".." in value.replace("\\", "/").split("/"):
        return "is not in the input folder of the server", "send the file with the job"
    is_elsewhere = value.startswith(UPLOADED) or "/" in value or value.endswith("]")
    return None if is_elsewhere or value in choices else _not_a_choice(value, choices)


def _not_a_choice(value: Any, choices: Iterable[Any]) -> tuple[str, str]:
    words = [str(choice) for choice in choices]
    if meant := did_you_mean(str(value), words):
        return "is not there", meant
    listed = ", ".join(words[:_LISTED]) + (f", and {len(words) - _LISTED} more" if len(words) > _LISTED else "")
    return "is not there", f"there are: {listed}" if words else "there are none on the server"


def _span(kind: str, options: Mapping[str, Any]) -> str:
    low, high = options.get("min"), options.get("max")
    return f"{kind} from {low} to {high}" if low is not None and high is not None else kind


def _fit(given: str, expected: str) -> bool:
    """Types may be lists of types; `*` is any, and so are those that a node finds out itself."""
    sides = [{part.strip() for part in side.split(",")} for side in (given, expected)]
    is_open = any("*" in side or any(part.startswith("COMFY_") for part in side) for side in sides)
    return is_open or not sides[0].isdisjoint(sides[1])


def _check_place(graph: Graph, place: str, field: str) -> None:
    """Is there such an input?"""
    found = locate(graph, place)
    if found is None:
        raise _refused(f"{field}: there is no node {place.rpartition('.')[0]!r:.80}", field, _nodes(graph))
    node, name = found
    inputs: dict[str, Any] = graph[node]["inputs"]
    if name not in inputs:
        names = nearest(name, inputs) or list(inputs)[:_LISTED]
        message = f"{field}: {_label(graph, node)} has no input {name!r:.80}"
        raise _refused(message, field, f"inputs: {', '.join(names)}")


def _unknown_class(node_id: str, class_type: str, field: str, info: ObjectInfo) -> Refused:
    meant = did_you_mean(class_type, info.classes)
    hint = (f"{meant} If not, " if meant else "") + "a node pack may be missing on the server"
    message = f"node {node_id:.80}: the server has no node class {class_type!r:.80}"
    return _refused(message, f"{field}.{node_id:.80}.class_type", hint)


def _label(graph: Graph, node_id: str) -> str:
    return f"node {node_id:.80} ({graph[node_id]['class_type']:.80})"


def _nodes(graph: Graph) -> str:
    listed = [f"{node_id:.80} ({node['class_type']:.80})" for node_id, node in list(graph.items())[:_LISTED]]
    return f"nodes: {', '.join(listed)}"


def _refused(message: str, field: str, hint: str) -> Refused:
    return Refused(ErrorCode.BAD_REQUEST, message, field=field, hint=hint)
