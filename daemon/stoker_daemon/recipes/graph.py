"""A workflow in ComfyUI's API format: its shape, its places, and its links."""

from collections.abc import Iterator
from typing import Any, TypeGuard, cast

from stoker_protocol.errors import ErrorCode, Refused

Graph = dict[str, Any]
"""Node id to `{"class_type", "inputs", "_meta": {"title"}}`; an input is a plain value or a link, `[node, output]`."""

Link = list[Any]

_SHAPE_HINT = 'a map of nodes: {"1": {"class_type": "KSampler", "inputs": {...}}, ...}'
_EXPORT_HINT = "export it from ComfyUI with Workflow → Export (API)"
MAX_NODES = 2_000
"""Nodes of a workflow; people's largest have a few hundred."""
_MAX_PLACE = 1_000
"""Letters of a place that are worth looking at."""


def check_shape(given: Any, field: str) -> Graph:
    """Take what should be a workflow. `field` is where it comes from.

    Raises:
        Refused: `bad_request`, naming the node that is none, or `too_large`.
    """
    if not isinstance(given, dict):
        raise _malformed(field, "a workflow is a map of nodes")
    graph = cast("Graph", given)
    if isinstance(graph.get("nodes"), list):
        raise _malformed(field, "this is a file of ComfyUI's editor, which its server can't run", _EXPORT_HINT)
    if not graph:
        raise _malformed(field, "the workflow has no nodes")
    if len(graph) > MAX_NODES:
        hint = f"at most {MAX_NODES} nodes"
        raise Refused(ErrorCode.TOO_LARGE, f"{field} has {len(graph)} nodes", field=field, hint=hint)
    return {node_id: _node(node_id, node, field) for node_id, node in graph.items()}


def is_link(value: object) -> TypeGuard[Link]:
    """Whether an input comes from another node. What is a list and not this is no input at all."""
    if not isinstance(value, list) or len(pair := cast("Link", value)) != 2:
        return False
    return isinstance(pair[0], str) and type(pair[1]) is int


def links(node: Any) -> Iterator[tuple[str, Link]]:
    """The inputs of a node that are links."""
    return ((name, value) for name, value in node["inputs"].items() if is_link(value))


def upstream(graph: Graph, *node_ids: str) -> list[str]:
    """These nodes and all that they are made from, the nearest first."""
    found = [node_id for node_id in dict.fromkeys(node_ids) if node_id in graph]
    seen = set(found)
    for node_id in found:
        new = [link[0] for _, link in links(graph[node_id]) if link[0] in graph]
        found += [source for source in dict.fromkeys(new) if source not in seen]
        seen.update(new)
    return found


def in_order(graph: Graph) -> list[str]:
    """All nodes, each after those that it is made from, as far as there is no cycle."""
    return [node_id for node_id, cycle in _walk(graph) if not cycle]


def find_cycle(graph: Graph) -> list[str]:
    """Nodes that wait for each other, the first one again at the end; none if there is no cycle."""
    return next((cycle for _, cycle in _walk(graph) if cycle), list[str]())


def locate(graph: Graph, place: str) -> tuple[str, str] | None:
    """The node and the input that `NODE.INPUT` means, split at the last dot that has the id of a node before it."""
    at = place.rfind(".") if len(place) <= _MAX_PLACE else -1
    while at > 0 and place[:at] not in graph:
        at = place.rfind(".", 0, at)
    return (place[:at], place[at + 1 :]) if at > 0 else None


def put(graph: Graph, place: str, value: Any) -> None:
    """Set one input. Raises KeyError: there is no such node."""
    found = locate(graph, place)
    if found is None:
        raise KeyError(place)
    graph[found[0]]["inputs"][found[1]] = value


def get(graph: Graph, place: str) -> Any:
    """One input as the workflow has it; None where there is none."""
    found = locate(graph, place)
    return graph[found[0]]["inputs"].get(found[1]) if found else None


def _node(node_id: str, given: Any, field: str) -> dict[str, Any]:
    """A node, with what a server needs of it and its title."""
    if not isinstance(given, dict):
        raise _malformed(f"{field}.{node_id:.80}", f"node {node_id!r:.80} is no map")
    node = cast("dict[str, Any]", given)
    class_type, inputs, meta = node.get("class_type"), node.get("inputs"), node.get("_meta")
    if not isinstance(class_type, str) or not class_type:
        raise _malformed(f"{field}.{node_id:.80}.class_type", f"node {node_id!r:.80} has no class_type")
    if not isinstance(inputs, dict):
        raise _malformed(f"{field}.{node_id:.80}.inputs", f"node {node_id!r:.80} has no map of inputs")
    title = cast("dict[str, Any]", meta).get("title") if isinstance(meta, dict) else None
    return {"class_type": class_type, "inputs": inputs, "_meta": {"title": title if isinstance(title, str) else ""}}


def _walk(graph: Graph) -> Iterator[tuple[str, list[str]]]:
    """Each node after those that it is made from; where a link leads back, the nodes between."""
    done: set[str] = set()
    for start in graph:
        path = {} if start in done else {start: links(graph[start])}
        while path:
            last = next(reversed(path))
            source = next((link[0] for _, link in path[last]), None)
            if source is None:
                done.add(last)
                del path[last]
                yield last, []
            elif source in path:
                ids = [*path, source]
                yield source, ids[ids.index(source) :]
            elif source in graph and source not in done:
                path[source] = links(graph[source])


def _malformed(field: str, what: str, hint: str = _SHAPE_HINT) -> Refused:
    return Refused(ErrorCode.BAD_REQUEST, f"{field}: {what}", field=field, hint=hint)
