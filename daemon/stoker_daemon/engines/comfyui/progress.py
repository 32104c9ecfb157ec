"""How far a prompt is, as one figure that never goes back, from which of its nodes are done."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from stoker_daemon.recipes.template import Graph

Phase = str

_PHASE_WORDS: tuple[tuple[str, Phase], ...] = (
    ("Sampler", "sampling"),
    ("Loader", "loading"),
    ("Save", "saving"),
    ("Preview", "saving"),
    ("Decode", "decoding"),
    ("Encode", "encoding"),
    ("Load", "loading"),
)
"""The first word that a class name has tells its phase."""
_GUESSES_S: dict[Phase, float] = {
    "loading": 3.0,
    "encoding": 0.3,
    "sampling": 0.5,
    "decoding": 0.5,
    "saving": 0.1,
    "running": 0.2,
}
"""Seconds of a node nobody has seen, of a sampler for each step: what counts is how they compare."""
_WEIGHT_OF_NEWS = 0.3
_MAX_CLASSES = 1_000
_MAX_S = 1e6
_MAX_STEPS = 1e9


class Advance(NamedTuple):
    """Where a prompt is: its phase, the step of the node at work, and the part of the whole that is done, 0 to 1."""

    phase: Phase
    step: int
    steps: int
    fraction: float


class NodeTimes:
    """What nodes take by class, in seconds, of samplers for each step: learned, with newer ones counting more."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}

    def expected_s(self, node: Mapping[str, Any]) -> float:
        """What a node of a graph is expected to take."""
        name = str(node.get("class_type", ""))
        return self._seconds.get(name, _GUESSES_S[phase_of(name)]) * _steps_of(node)

    def learn(self, node: Mapping[str, Any], seconds: float) -> None:
        """A node took so long; a time that no clock can have measured teaches nothing."""
        if not 0 <= seconds < _MAX_S:
            return
        name, each = str(node.get("class_type", "")), seconds / _steps_of(node)
        if name in self._seconds:
            self._seconds[name] += _WEIGHT_OF_NEWS * (each - self._seconds[name])
        elif len(self._seconds) < _MAX_CLASSES:
            self._seconds[name] = each


class PromptProgress:
    """One prompt on its way; `now_s` are seconds of a clock that never jumps."""

    def __init__(self, graph: Graph, times: NodeTimes) -> None:
        self._graph = graph
        self._times = times
        self._weights = {node_id: times.expected_s(node) for node_id, node in graph.items()}
        self._left = set(graph)
        self._node = ""
        self._since_s = 0.0
        self._part = 0.0
        self._fraction = 0.0
        self._step = (0, 1)
        self.loading_s = 0.0
        """How long nodes that load models were at work."""

    def cached(self, nodes: Iterable[str]) -> None:
        """These nodes need not run."""
        self._left.difference_update(nodes)
        self._weights = {node_id: weight for node_id, weight in self._weights.items() if node_id in self._left}

    def enter(self, node: str, now_s: float) -> Advance:
        """A node began, so the one before has ended; nodes that a node expands to are part of it."""
        if node != self._node:
            self._leave(now_s)
            self._node, self._since_s, self._part, self._step = node, now_s, 0.0, (0, 1)
        return self._advance()

    def step(self, value: float, maximum: float) -> Advance:
        """The node at work has done so much."""
        steps = min(max(maximum, 1.0), _MAX_STEPS)
        step = min(max(value, 0.0), steps)
        self._step, self._part = (round(step), round(steps)), step / steps
        return self._advance()

    def end(self, now_s: float) -> Advance:
        """All is done."""
        self._leave(now_s)
        self._left.clear()
        return self._advance()

    def now(self) -> Advance:
        """Where it is."""
        return self._advance()

    @property
    def phase(self) -> Phase:
        """What the node at work does."""
        return phase_of(str(self._graph.get(self._node, {}).get("class_type", "")))

    def _leave(self, now_s: float) -> None:
        if self._node in self._left:
            self._left.discard(self._node)
            self._times.learn(self._graph[self._node], now_s - self._since_s)
            if self.phase == "loading":
                self.loading_s += now_s - self._since_s

    def _advance(self) -> Advance:
        total = sum(self._weights.values())
        done = sum(weight for node, weight in self._weights.items() if node not in self._left)
        at_work = self._weights[self._node] * self._part if self._node in self._left else 0.0
        self._fraction = max(self._fraction, min(1.0, (done + at_work) / total) if total > 0 else 0.0)
        return Advance(self.phase, *self._step, self._fraction)


def phase_of(class_name: str) -> Phase:
    """The phase that nodes of a class are in."""
    return next((phase for word, phase in _PHASE_WORDS if word in class_name), "running")


def _steps_of(node: Mapping[str, Any]) -> int:
    """What a sampler's time is in proportion to; 1 for other nodes."""
    if phase_of(str(node.get("class_type", ""))) != "sampling":
        return 1
    steps = node.get("inputs", {}).get("steps")
    return steps if isinstance(steps, int) and steps > 0 else 1
