"""What arrived when and what it costs: a trace, and the file that holds one."""

import json
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from stoker_protocol.jobs import Priority

RANKS = {priority.value: priority.rank for priority in Priority}
PRIORITIES = tuple(Priority)


class Arrival(NamedTuple):
    """One item that comes: when, for which model, and its priority's rank."""

    arrival_s: float
    model: str
    rank: int


@dataclass(frozen=True, slots=True)
class Curve:
    """Seconds of a run by its items: straight between given points and beyond them, through 0 if there is but one."""

    points: tuple[tuple[int, float], ...]

    def seconds(self, items: int) -> float:
        """How long a run of so many items takes."""
        at = bisect_left(self.points, (items, 0.0))
        if len(self.points) == 1:
            return self.points[0][1] * items / self.points[0][0]
        at = min(max(at, 1), len(self.points) - 1)
        (n, t), (m, u) = self.points[at - 1], self.points[at]
        return t + (u - t) * (items - n) / (m - n)


@dataclass(frozen=True, slots=True)
class Model:
    """What a model costs."""

    load_s: float
    gb: float
    curve: Curve


@dataclass(frozen=True, slots=True)
class Trace:
    """Items in order of arrival, and the machine that they come to: how many models fit, and items in a run."""

    models: dict[str, Model]
    items: Sequence[Arrival]
    slots: int = 1
    max_batch: int = 1


def parse(lines: Iterable[str]) -> Trace:
    """A trace from JSON lines: one that describes the machine, then one for each item. Raises ValueError, KeyError."""
    head, *rest = [json.loads(line) for line in lines if line.strip()]
    curve = head.get("curve", [[1, 4.0]])
    models = {name: _model(facts, curve) for name, facts in head["models"].items()}
    items = [Arrival(row["arrival_s"], row["model"], RANKS[row["priority"]]) for row in rest]
    strangers = {item.model for item in items} - set(models)
    if strangers:
        raise ValueError(f"the first line does not describe the models {sorted(strangers)}")
    items.sort(key=lambda item: item.arrival_s)
    return Trace(models, items, head.get("slots", 1), head.get("max_batch", 1))


def _model(facts: dict[str, Any], curve: list[list[float]]) -> Model:
    points = sorted((int(items), float(seconds)) for items, seconds in facts.get("curve", curve))
    return Model(facts["load_s"], facts.get("gb", 1.0), Curve(tuple(points)))
