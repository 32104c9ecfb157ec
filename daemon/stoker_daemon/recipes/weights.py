"""Which model files a workflow loads: what decides whether two jobs can share what is resident."""

from collections.abc import Iterator

from stoker_daemon.recipes.object_info import LOADERS
from stoker_daemon.recipes.template import Graph, Template

_KINDS = {(class_type, name): kind for class_type, name, kind in LOADERS}


def weights_of(graph: Graph) -> list[tuple[str, str]]:
    """Kind and name of each model file, the checkpoint first, without doubles."""
    found = sorted(set(_named(graph)), key=lambda named: (named[0] != "checkpoint", named))
    return [(kind, name) for kind, name in found if name]


def weight_parameters(template: Template) -> set[str]:
    """The parameters that choose model files: all items of a job share them."""
    places = {f"{node}.{name}" for node, name, _ in _places(template.workflow)}
    named = {b.parameter.name for b in template.bindings if places.intersection(b.inputs)}
    return named | places


def _named(graph: Graph) -> Iterator[tuple[str, str]]:
    for node, name, kind in _places(graph):
        value = graph[node]["inputs"][name]
        if isinstance(value, str):
            yield kind, value


def _places(graph: Graph) -> Iterator[tuple[str, str, str]]:
    """Node, input and kind of each name of a model file."""
    for node_id, node in graph.items():
        for name in node["inputs"]:
            kind = _KINDS.get((str(node["class_type"]), name))
            if kind is not None:
                yield node_id, name, kind
