"""Makes one workflow of those of several items, if all that they differ in is what one run can vary."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from stoker_daemon.recipes.batching import QUIET, SAMPLERS, Kind, Unmergeable, free_inputs, plan
from stoker_daemon.recipes.graph import Graph, Link, is_link
from stoker_protocol.jobs import Level

MOST_ITEMS = 64
"""More can't be repeated by ComfyUI's own node, nor put together by ours; nor has a series more images."""

NODE_PACK = frozenset(("StokerItemNoise", "StokerItemPrompts"))
"""What a server must have for the level `close`."""

_MARK = "#"
"""Between the id of a node and what it is in a merged workflow: `9#0` is node 9 for item 0, `9#noise` is for all."""


class Signature(NamedTuple):
    """Workflows of one key can be merged; without a key, the reason why not."""

    key: str | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Merged:
    """One workflow for several items.

    `outputs`: for each node at an end, the item that it makes something for, by its number in the order, and that node
    in the item's own workflow.
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


def merge(
    graphs: Sequence[Graph], level: Level = "close", names: Sequence[int] | None = None, first: int = 0
) -> Merged:
    """One workflow that makes what these make; each is of one item, in the order of a run.

    What all items have in common is there once. A sampler makes a batch, and so does what can follow it one by one;
    everything else is there once for each item, and gets its image out of the batch. Items are named by their numbers
    in the order, or by `names`. A series begins with its image `first`, counted from 0.

    Raises:
        ValueError: They have no signature, or different ones, or there are too many.
    """
    signatures = {signature(graph, level) for graph in graphs}
    if len(signatures) != 1 or first + len(graphs) > MOST_ITEMS:
        raise ValueError(f"these {len(graphs)} workflows can't be merged: {len(signatures)} signatures")
    if reason := signatures.pop().reason:
        raise ValueError(f"the workflow can't be merged: {reason}")
    differing = [node_id for node_id in graphs[0] if any(graph[node_id] != graphs[0][node_id] for graph in graphs)]
    kinds = plan(graphs[0], level, differing)
    merging = _Merging(graphs, kinds, level, names or range(len(graphs)), first)
    for node_id in kinds:
        merging.add(node_id)
    return merging.merged


def item_of(node_id: str) -> tuple[str, int | None]:
    """What a node of a merged workflow is in the items' own workflows, and for which item it is there, if for one."""
    own, _, name = node_id.rpartition(_MARK)
    return (own, int(name)) if own and name.isdecimal() else (own or node_id, None)


def of_series(graph: Graph, number: int) -> Graph:
    """The workflow that makes one image of a series alone."""
    alone = _Merging([graph], plan(graph, "series", []), "series", [number], number)
    inserted: Graph = {}
    for node_id, node in graph.items():
        inserted[node_id] = {**node, "inputs": dict(node["inputs"])}
        if node["class_type"] in SAMPLERS:
            inserted[node_id]["inputs"]["latent_image"] = alone.start(node_id, node["inputs"]["latent_image"])
    return {**inserted, **alone.merged.graph}


def is_same_alone(graph: Graph, level: Level) -> bool:
    """Whether an item that shared a run is the same, but for rounding, as when it is made alone.

    In a series that is so unless a sampler draws noise at each step: ComfyUI's own draws it for the whole batch.
    """
    samplers = [node["inputs"].get("sampler_name") for node in graph.values() if node["class_type"] in SAMPLERS]
    return level != "series" or QUIET.issuperset(samplers)


class _Merging:
    """A merged workflow as it grows, each node after those that it gets its inputs from."""

    def __init__(
        self, graphs: Sequence[Graph], kinds: Mapping[str, Kind], level: Level, names: Sequence[int], first: int
    ) -> None:
        self.merged = Merged()
        self._graphs = graphs
        self._kinds = kinds
        self._level = level
        self._names = names
        self._first = first
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

    def start(self, node_id: str, latent: Link) -> Link:
        """The latent images that a sampler begins with: one for each item, and in a series with their places in it."""
        if self._kinds[latent[0]] != "shared":
            return latent
        several = {"samples": latent, "amount": self._first + len(self._graphs)}
        repeated = self._insert(f"{node_id}{_MARK}start", "RepeatLatentBatch", several)
        if self._level != "series":
            return repeated
        places = {"samples": repeated, "batch_index": self._first, "length": len(self._graphs)}
        return self._insert(f"{node_id}{_MARK}places", "LatentFromBatch", places)

    def _add_each(self, node_id: str) -> None:
        for item, graph in enumerate(self._graphs):
            node = graph[node_id]
            inputs = {name: self._of(item, v) if is_link(v) else v for name, v in node["inputs"].items()}
            self.merged.graph[own := self._named(node_id, item)] = {**node, "inputs": inputs}
            if node_id not in self._read:
                self.merged.outputs[own] = (item, node_id)

    def _add_sampler(self, node_id: str, node: Any) -> None:
        inputs = {**node["inputs"], "latent_image": self.start(node_id, node["inputs"]["latent_image"])}
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
        own = self._named(source, item)
        if self._kinds[source] == "batch":
            return self._insert(own, "ImageFromBatch", {"image": link, "batch_index": item, "length": 1})
        return [own, output]

    def _named(self, node_id: str, item: int) -> str:
        return f"{node_id}{_MARK}{self._names[item]}"

    def _insert(self, node_id: str, class_type: str, inputs: dict[str, Any]) -> Link:
        self.merged.graph[node_id] = {"class_type": class_type, "inputs": inputs, "_meta": {"title": ""}}
        return [node_id, 0]
