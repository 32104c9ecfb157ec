"""How far the nodes of a running prompt are, told in full at each change."""

from typing import Any

from tests.fakes.comfyui.graph import Graph
from tests.fakes.comfyui.stream import Stream


class Progress:
    """The state of each node that was started."""

    def __init__(self, prompt_id: str, graph: Graph, stream: Stream) -> None:
        self._prompt_id = prompt_id
        self._graph = graph
        self._stream = stream
        self._nodes: dict[str, dict[str, Any]] = {}

    def start(self, node_id: str) -> None:
        self._change(node_id, value=0.0, max=1.0, state="running")

    def finish(self, node_id: str) -> None:
        total = self._nodes[node_id]["max"] if node_id in self._nodes else 1
        self._change(node_id, value=total, max=total, state="finished")

    def step(self, node_id: str, value: int, total: int, jpeg: bytes | None) -> None:
        """A step is done. A preview comes before the plain event to those who want metadata, else after it."""
        self._change(node_id, value=value, max=total, state="running")
        first = self._stream.wants_metadata()
        if jpeg is not None and first:
            self._preview(node_id, jpeg)
        data = {"value": value, "max": total, "prompt_id": self._prompt_id, "node": node_id}
        self._stream.send("progress", data, self._stream.client_id)
        if jpeg is not None and not first:
            self._preview(node_id, jpeg)

    def _change(self, node_id: str, **state: Any) -> None:
        self._nodes[node_id] = {**state, **self._names(node_id)}
        data = {"prompt_id": self._prompt_id, "nodes": self._nodes}
        self._stream.send("progress_state", data, self._stream.client_id)

    def _preview(self, node_id: str, jpeg: bytes) -> None:
        self._stream.send_preview(jpeg, self._names(node_id))

    def _names(self, node_id: str) -> dict[str, Any]:
        real_id = self._graph.real_id(node_id)
        return {
            "node_id": node_id,
            "prompt_id": self._prompt_id,
            "display_node_id": real_id,
            "parent_node_id": self._graph.parent(node_id),
            "real_node_id": real_id,
        }
