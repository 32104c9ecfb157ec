"""The policies that are compared: the daemon's own code, and what others do."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from benchmarks.scheduling.simulator import Choice, Line, Policy, Queue
from benchmarks.scheduling.trace import Arrival, Trace
from stoker_daemon.scheduling import waves
from stoker_daemon.scheduling.batch_size import best_size
from stoker_daemon.scheduling.dials import BALANCED, Dials
from stoker_daemon.scheduling.patience import OfferedLoad, patience
from stoker_daemon.scheduling.residency import Gpu, Key

AHEAD = 32
"""Places that InvokeAI's rule looks ahead."""


class Peer:
    """A policy without memory: it finds the first item of its order, and the same model's next ones share its run."""

    def __init__(self, first: Callable[[Queue], Line], *, by_rank: bool) -> None:
        self._first = first
        self._by_rank = by_rank

    def arrive(self, _: Arrival, /, *, idle: bool) -> None: ...

    def done(self, _: float, /) -> None: ...

    def choose(self, queue: Queue, _: float, /) -> Choice:
        model, rank = self._first(queue)
        most, slots = queue.trace.max_batch, queue.trace.slots
        evicts = [] if model in queue.loaded else queue.loaded[: max(0, len(queue.loaded) + 1 - slots)]
        if most == 1:
            return Choice(model, [(rank, 1)], evicts)
        places = [
            (other if self._by_rank else 0, number, other)
            for other in range(4)
            for number in list(queue.waiting.get((model, other), ()))[:most]
        ]
        return Choice(model, [(other, 1) for _, _, other in sorted(places)[:most]], evicts)


def fifo(queue: Queue) -> Line:
    """The oldest."""
    return min(queue.waiting, key=lambda line: queue.waiting[line][0])


def strict(queue: Queue) -> Line:
    """The highest priority, then the oldest."""
    return min(queue.waiting, key=lambda line: (line[1], queue.waiting[line][0]))


def greedy(queue: Queue) -> Line:
    """What is loaded, then the oldest (llama-swap)."""
    return min(queue.waiting, key=lambda line: (line[0] not in queue.loaded, queue.waiting[line][0]))


def lookahead(queue: Queue) -> Line:
    """As `strict`, unless what is loaded has an item of that priority a few places on (InvokeAI)."""
    first = strict(queue)
    last = queue.waiting[first][0] + AHEAD
    near = [
        line
        for line, numbers in queue.waiting.items()
        if line[1] == first[1] and line[0] in queue.loaded and numbers[0] <= last
    ]
    return min(near, key=lambda line: queue.waiting[line][0], default=first)


def priority_affinity(queue: Queue) -> Line:
    """The highest priority, then what is loaded, then the oldest."""
    return min(queue.waiting, key=lambda line: (line[1], line[0] not in queue.loaded, queue.waiting[line][0]))


class Believed:
    """What Stoker believes of a trace's costs: the truth times a factor."""

    def __init__(self, trace: Trace, loads: float = 1.0, runs: float = 1.0) -> None:
        self.names = list(trace.models)
        self.keys = {name: Key("gpu", name) for name in self.names}
        self._load_s = {self.keys[name]: model.load_s * loads for name, model in trace.models.items()}
        self._gb = {self.keys[name]: model.gb for name, model in trace.models.items()}
        self._run_s = [
            [runs * model.curve.seconds(items) for items in range(trace.max_batch + 1)]
            for model in trace.models.values()
        ]
        self._sizes: dict[tuple[int, int, float], int] = {}
        self._most = trace.max_batch

    def load_s(self, key: Key, /) -> float:
        return self._load_s[key]

    def size_gb(self, key: Key, /) -> float:
        return self._gb[key]

    def run_s(self, signature: int, items: int, /) -> float:
        return self._run_s[signature][items]

    def batch(self, signature: int, ready: int, at_most_s: float, /) -> int:
        asked = signature, min(ready, self._most), at_most_s
        if asked not in self._sizes:
            self._sizes[asked] = best_size(asked[1], self._most, partial(self.run_s, signature), at_most_s)
        return self._sizes[asked]


class Stoker:
    """The daemon's policy; `decisions` are all that it made."""

    def __init__(self, trace: Trace, dials: Dials = BALANCED, *, loads: float = 1.0, runs: float = 1.0) -> None:
        self.decisions: list[waves.Decision] = []
        self._estimates = Believed(trace, loads, runs)
        self._signatures = {name: number for number, name in enumerate(trace.models)}
        self._dials = dials
        self._gpu = Gpu(slots=trace.slots)
        self._offered = OfferedLoad(0.0)
        self._now_s = 0.0

    def arrive(self, item: Arrival, /, *, idle: bool) -> None:
        signature = self._signatures[item.model]
        most = self._estimates.batch(signature, 1_000, self._dials.batch_s)
        work_s = self._estimates.run_s(signature, most) / most
        self._offered.arrive(item.arrival_s, self._estimates.keys[item.model], work_s, idle=idle)

    def choose(self, queue: Queue, now_s: float, /) -> Choice:
        keys = self._estimates.keys
        waiting = [
            waves.Waiting(keys[model], self._signatures[model], rank, len(line), queue.trace.items[line[0]].arrival_s)
            for (model, rank), line in queue.waiting.items()
        ]
        self._now_s = now_s
        self._gpu = replace(
            self._gpu,
            patience=patience(self._offered.rho(now_s), self._dials.max_patience),
            demand=self._offered.shares(),
        )
        decision = waves.decide(waiting, self._gpu, self._estimates, self._dials, now_s)
        assert decision
        self.decisions.append(decision)
        takes = [(head.rank, number) for head, number in decision.takes]
        return Choice(decision.key.residency, takes, [key.residency for key in decision.evicts])

    def done(self, run_s: float, /) -> None:
        self._gpu = waves.after(self._gpu, self.decisions[-1], self._now_s, run_s)


POLICIES: dict[str, Callable[[Trace], Policy]] = {
    "stoker": Stoker,
    "fifo": lambda _: Peer(fifo, by_rank=False),
    "strict": lambda _: Peer(strict, by_rank=True),
    "greedy": lambda _: Peer(greedy, by_rank=False),
    "lookahead32": lambda _: Peer(lookahead, by_rank=True),
    "priority_affinity": lambda _: Peer(priority_affinity, by_rank=True),
}
