"""Which model files a workflow loads: what decides whether two jobs can share what is resident."""

import json
from collections.abc import Iterable, Iterator

from stoker_daemon.recipes.graph import Graph, links, locate
from stoker_daemon.recipes.object_info import LOADERS
from stoker_daemon.recipes.template import Template

_BY_CLASS = {(class_type, name): kind for class_type, name, kind in LOADERS}
_HEAVY = ("checkpoint", "unet")
_BY_NAME = {name: kind for _, name, kind in LOADERS if name != "model_name"}
"""Loaders of node packs call their inputs as the server's own do."""


def weights_of(graph: Graph) -> list[tuple[str, str]]:
    """Kind and name of each model file, the checkpoint and other heavy ones first, without doubles."""
    found = sorted(set(_named(graph)), key=lambda named: (named[0] not in _HEAVY, named))
    return [(kind, name) for kind, name in found if name not in ("", "None")]


def levels_of(graph: Graph) -> tuple[list[str], list[str]]:
    """The files of the heavy weights, and those that are put on them; without heavy ones all count as such."""
    found = weights_of(graph)
    heavy = [name for kind, name in found if kind in _HEAVY]
    light = [name for kind, name in found if kind not in _HEAVY]
    return (heavy, light) if heavy else (light, [])


def are_heavy(readers: Iterable[str], graph: Graph) -> bool:
    """Whether any of what nodes of a workflow read, as `readers_of` says it, is of the heavy weights."""
    heavy, _ = levels_of(graph)
    return any(value in heavy for reader in readers for value in json.loads(reader)[1].values())


def readers_of(graph: Graph) -> dict[str, str]:
    """The nodes that read model files and take nothing from other nodes, each with what it reads, and how.

    What two workflows call the same a server needs to read but once; a LoRA is put on a model that another node reads.
    """
    nodes = {node for node, _, _ in _places(graph) if not any(links(graph[node]))}
    return {node: json.dumps([graph[node]["class_type"], graph[node]["inputs"]], sort_keys=True) for node in nodes}


def weight_parameters(template: Template) -> set[str]:
    """The parameters that choose model files: all items of a job share them."""
    places = {f"{node}.{name}" for node, name, _ in _places(template.workflow)}
    named = {b.parameter.name for b in template.bindings if places.intersection(b.inputs)}
    return named | places


def model_kind(template: Template) -> str:
    """What kind of model file the parameter `model` chooses; empty where that is not known."""
    bound = [place for b in template.bindings if b.parameter.name == "model" for place in b.inputs]
    nodes = {found for place in bound if (found := locate(template.workflow, place))}
    return next((kind for node, name, kind in _places(template.workflow) if (node, name) in nodes), "")


def _named(graph: Graph) -> Iterator[tuple[str, str]]:
    for node, name, kind in _places(graph):
        value = graph[node]["inputs"][name]
        if isinstance(value, str):
            yield kind, value


def _places(graph: Graph) -> Iterator[tuple[str, str, str]]:
    """Node, input and kind of each name of a model file."""
    for node_id, node in graph.items():
        for name in node["inputs"]:
            kind = _BY_CLASS.get((node["class_type"], name)) or _BY_NAME.get(name)
            if kind is not None:
                yield node_id, name, kind
