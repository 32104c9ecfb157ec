"""The graph of a running prompt: its nodes and those that nodes add, and which of them runs next."""

import hashlib
import json
from collections.abc import Callable
from typing import Any

Link = tuple[str, int]


class Graph:
    """The nodes of a prompt by their ids; nodes that another one added know their parent."""

    def __init__(self, nodes: dict[str, Any]) -> None:
        self.original = nodes
        self._nodes: dict[str, Any] = dict(nodes)
        self._parents: dict[str, str] = {}
        self._signatures: dict[str, str] = {}

    def __getitem__(self, node_id: str) -> dict[str, Any]:
        return self._nodes[node_id]

    def add(self, node_id: str, node: dict[str, Any], parent: str) -> None:
        self._nodes[node_id] = node
        self._parents[node_id] = parent

    def parent(self, node_id: str) -> str | None:
        return self._parents.get(node_id)

    def real_id(self, node_id: str) -> str:
        """The id of the node of the prompt that this one came from."""
        while node_id in self._parents:
            node_id = self._parents[node_id]
        return node_id

    def links(self, node_id: str) -> dict[str, Link]:
        """The inputs that come from other nodes."""
        inputs = self._nodes[node_id]["inputs"]
        return {name: (value[0], int(value[1])) for name, value in inputs.items() if _is_link(value)}

    def signature(self, node_id: str, changed: Callable[[dict[str, Any]], str]) -> str:
        """What a node's result depends on: its class and inputs, and those of all before it, whatever their ids."""
        if node_id not in self._signatures:
            node = self._nodes[node_id]
            links = self.links(node_id)
            inputs = {
                name: [self.signature(links[name][0], changed), links[name][1]] if name in links else value
                for name, value in sorted(node["inputs"].items())
            }
            text = json.dumps([node["class_type"], inputs, changed(node)])
            self._signatures[node_id] = hashlib.sha256(text.encode()).hexdigest()
        return self._signatures[node_id]


class Plan:
    """The nodes that are still to run, in the real server's order."""

    def __init__(self, graph: Graph, is_cached: Callable[[str], bool], is_output: Callable[[str], bool]) -> None:
        self._graph = graph
        self._is_cached = is_cached
        self._is_output = is_output
        self._waits_for: dict[str, set[str]] = {}
        self._wanted_by: dict[str, list[str]] = {}

    def __bool__(self) -> bool:
        return bool(self._waits_for)

    def add(self, node_id: str) -> None:
        """Plan a node and all before it that are not cached."""
        found: list[tuple[str, str]] = []
        stack = [node_id]
        while stack:
            current = stack.pop()
            if current in self._waits_for:
                continue
            self._waits_for[current] = set()
            self._wanted_by[current] = []
            for source, _ in self._graph.links(current).values():
                found.append((source, current))
                if not self._is_cached(source):
                    stack.append(source)
        for source, target in found:
            self._wait(target, source)

    def add_before(self, node_id: str, source: str) -> None:
        """Let a node wait for one that was added."""
        if not self._is_cached(source):
            self.add(source)
        self._wait(node_id, source)

    def pick(self) -> str:
        """Of those that wait for nothing: an output, what an output wants, what leads to that, or the first."""
        ready = [node_id for node_id, sources in self._waits_for.items() if not sources]
        for wanted in (self._is_output, self._feeds_output, self._leads_to_output):
            for node_id in ready:
                if wanted(node_id):
                    return node_id
        return ready[0]

    def finish(self, node_id: str) -> None:
        del self._waits_for[node_id]
        for target in self._wanted_by.pop(node_id):
            self._waits_for[target].discard(node_id)

    def _wait(self, target: str, source: str) -> None:
        if source in self._waits_for and source not in self._waits_for[target]:
            self._waits_for[target].add(source)
            self._wanted_by[source].append(target)

    def _feeds_output(self, node_id: str) -> bool:
        return any(self._is_output(target) for target in self._wanted_by[node_id])

    def _leads_to_output(self, node_id: str) -> bool:
        return any(self._feeds_output(target) for target in self._wanted_by[node_id])


def _is_link(value: Any) -> bool:
    match value:
        case [str(), int() | float()]:
            return True
        case _:
            return False
