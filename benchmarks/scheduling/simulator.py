"""A GPU that exists in time only: a policy chooses run after run of a trace, and what came of it is counted."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from benchmarks.scheduling.trace import Arrival, Trace

Line = tuple[str, int]
"""Items of one model and rank wait in one line."""


class Choice(NamedTuple):
    """What a policy wants to run: of a model so many items of each rank, in this order, and what makes room for it."""

    model: str
    takes: Sequence[tuple[int, int]]
    evicts: Sequence[str] = ()


@dataclass(slots=True)
class Queue:
    """What waits, by number in order of arrival; `loaded` is what the GPU holds, the last used last."""

    trace: Trace
    waiting: dict[Line, deque[int]] = field(default_factory=dict[Line, "deque[int]"])
    loaded: list[str] = field(default_factory=list[str])


class Policy(Protocol):
    """Who decides. Calls come in order of time."""

    def arrive(self, item: Arrival, /, *, idle: bool) -> None:
        """An item came, to an empty queue and an idle GPU or not."""
        ...

    def choose(self, queue: Queue, now_s: float, /) -> Choice:
        """What runs next; something waits."""
        ...

    def done(self, run_s: float, /) -> None:
        """What was chosen ran for so long, once it was loaded."""
        ...


class RunDone(NamedTuple):
    """A run as it went; `load_s` is 0 if its model was loaded. `items` are numbers in the trace."""

    model: str
    began_s: float
    load_s: float
    run_s: float
    items: tuple[int, ...]


def simulate(trace: Trace, policy: Policy) -> list[RunDone]:
    """All runs, in order."""
    queue, now_s, arrived, left = Queue(trace), 0.0, 0, 0
    runs: list[RunDone] = []
    while arrived < len(trace.items) or left:
        idle = not left
        if idle:
            now_s = max(now_s, trace.items[arrived].arrival_s)
        while arrived < len(trace.items) and trace.items[arrived].arrival_s <= now_s:
            item = trace.items[arrived]
            queue.waiting.setdefault((item.model, item.rank), deque()).append(arrived)
            policy.arrive(item, idle=idle)
            arrived, left = arrived + 1, left + 1
        run = _perform(queue, policy.choose(queue, now_s), now_s)
        policy.done(run.run_s)
        runs.append(run)
        now_s += run.load_s + run.run_s
        left -= len(run.items)
    return runs


def _perform(queue: Queue, choice: Choice, now_s: float) -> RunDone:
    trace, model = queue.trace, queue.trace.models[choice.model]
    items: list[int] = []
    for rank, number in choice.takes:
        line = queue.waiting[choice.model, rank]
        items += [line.popleft() for _ in range(number)]
        if not line:
            del queue.waiting[choice.model, rank]
    assert 0 < len(items) <= trace.max_batch
    load_s = 0.0 if choice.model in queue.loaded else model.load_s
    queue.loaded = [each for each in queue.loaded if each != choice.model and each not in choice.evicts]
    queue.loaded.append(choice.model)
    assert len(queue.loaded) <= trace.slots
    return RunDone(choice.model, now_s, load_s, model.curve.seconds(len(items)), tuple(items))
