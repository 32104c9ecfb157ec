"""Makes one workflow of those of several items, if all that they differ in is what one run can vary."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from stoker_daemon.recipes.batching import SAMPLERS, Kind, Level, Unmergeable, free_inputs, plan
from stoker_daemon.recipes.graph import Graph, Link, is_link

MOST_ITEMS = 64
"""More can't be repeated by ComfyUI's own node, nor put together by ours."""

NODE_PACK = frozenset(("StokerItemNoise", "StokerItemPrompts"))
"""What a server must have for the level `close`."""

_MARK = "#"
"""Between the id of a node and what it is in a merged workflow: `9#0` is node 9 for item 0."""


class Signature(NamedTuple):
    """Workflows of one key can be merged; without a key, the reason why not."""

    key: str | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Merged:
    """One workflow for several items.

    `outputs`: for each node at an end, the item that it makes something for, and that node in the item's own workflow.
    """

    graph: Graph = field(default_factory=dict[str, Any])
    outputs: dict[str, tuple[int, str]] = field(default_factory=dict[str, tuple[int, str]])


def signature(graph: Graph, level: Level = "close") -> Signature:
    """What must be equal of workflows that are merged: all but file names and, but in a series, seeds and texts."""
    free = {node_id: free_inputs(node, level) for node_id, node in graph.items()}
    try:
        if any(_MARK in node_id for node_id in graph):
            raise Unmergeable(f"the id of a node has a {_MARK}")
        plan(graph, level, [node_id for node_id, names in free.items() if names])
    except Unmergeable as unmergeable:
        return Signature(None, str(unmergeable))
    fixed = {
        node_id: [
            node["class_type"],
            {name: None if name in free[node_id] else v for name, v in node["inputs"].items()},
        ]
        for node_id, node in graph.items()
    }
    return Signature(hashlib.sha256(json.dumps([level, fixed], sort_keys=True).encode()).hexdigest()[:32])


def merge(graphs: Sequence[Graph], level: Level = "close") -> Merged:
    """One workflow that makes what these make; each is of one item, in the order of a run.

    What all items have in common is there once. A sampler makes a batch, and so does what can follow it one by one;
    everything else is there once for each item, and gets its image out of the batch.

    Raises:
        ValueError: They have no signature, or different ones, or there are too many.
    """
    signatures = {signature(graph, level) for graph in graphs}
    if len(signatures) != 1 or len(graphs) > MOST_ITEMS:
        raise ValueError(f"these {len(graphs)} workflows can't be merged: {len(signatures)} signatures")
    if reason := signatures.pop().reason:
        raise ValueError(f"the workflow can't be merged: {reason}")
    first = graphs[0]
    differing = [node_id for node_id in first if any(graph[node_id] != first[node_id] for graph in graphs)]
    kinds = plan(first, level, differing)
    merging = _Merging(graphs, kinds, level)
    for node_id in kinds:
        merging.add(node_id)
    return merging.merged


class _Merging:
    """A merged workflow as it grows, each node after those that it gets its inputs from."""

    def __init__(self, graphs: Sequence[Graph], kinds: Mapping[str, Kind], level: Level) -> None:
        self.merged = Merged()
        self._graphs = graphs
        self._kinds = kinds
        self._level = level
        self._read = {v[0] for node in graphs[0].values() for v in node["inputs"].values() if is_link(v)}

    def add(self, node_id: str) -> None:
        """Add a node of the items, once or once for each."""
        node = self._graphs[0][node_id]
        if self._kinds[node_id] == "each":
            self._add_each(node_id)
        elif node["class_type"] in SAMPLERS and self._kinds[node_id] == "batch":
            self._add_sampler(node_id, node)
        else:
            self.merged.graph[node_id] = node

    def _add_each(self, node_id: str) -> None:
        for item, graph in enumerate(self._graphs):
            node = graph[node_id]
            inputs = {name: self._of(item, v) if is_link(v) else v for name, v in node["inputs"].items()}
            self.merged.graph[own := f"{node_id}{_MARK}{item}"] = {**node, "inputs": inputs}
            if node_id not in self._read:
                self.merged.outputs[own] = (item, node_id)

    def _add_sampler(self, node_id: str, node: Any) -> None:
        inputs = dict(node["inputs"])
        if self._kinds[inputs["latent_image"][0]] == "shared":
            several = {"samples": inputs["latent_image"], "amount": len(self._graphs)}
            inputs["latent_image"] = self._insert(f"{node_id}{_MARK}start", "RepeatLatentBatch", several)
        for prompt in ("positive", "negative"):
            if self._kinds[inputs[prompt][0]] == "each":
                items = {f"item_{item}": self._of(item, inputs[prompt]) for item in range(len(self._graphs))}
                together = {"model": inputs["model"], **items}
                inputs[prompt] = self._insert(f"{node_id}{_MARK}{prompt}", "StokerItemPrompts", together)
        if self._level == "close":
            seeds = [str(graph[node_id]["inputs"][SAMPLERS[node["class_type"]]]) for graph in self._graphs]
            noise = {"model": inputs["model"], "seeds": ",".join(seeds)}
            inputs["model"] = self._insert(f"{node_id}{_MARK}noise", "StokerItemNoise", noise)
        self.merged.graph[node_id] = {**node, "inputs": inputs}

    def _of(self, item: int, link: Link) -> Link:
        """Where an item gets what its own workflow gets from here."""
        source, output = link
        if self._kinds[source] == "shared":
            return link
        own = f"{source}{_MARK}{item}"
        if self._kinds[source] == "batch":
            return self._insert(own, "ImageFromBatch", {"image": link, "batch_index": item, "length": 1})
        return [own, output]

    def _insert(self, node_id: str, class_type: str, inputs: dict[str, Any]) -> Link:
        self.merged.graph[node_id] = {"class_type": class_type, "inputs": inputs, "_meta": {"title": ""}}
        return [node_id, 0]
