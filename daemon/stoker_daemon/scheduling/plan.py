"""What would run if nothing else came: the policy run forward over what waits now."""

import math
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from stoker_daemon.scheduling.dials import Dials
from stoker_daemon.scheduling.residency import Estimates, Gpu, Key, make_room, switch_s
from stoker_daemon.scheduling.waves import Decision, Reason, Rule, Waiting, after, decide

MAX_RUNS = 2_000
"""A plan ends after so many runs: nobody reads on, and what comes meanwhile would change it."""
NINETIETH = 1.2816
"""Standard deviations from the mean to the 90th percentile of a normal distribution."""


class Lot(NamedTuple):
    """Items of one job that came together.

    `most`: how many share a run that they are in, whosever these are; `at_once`: how many of them may be at work at a
    time; 0: as many as there may be.
    """

    job_id: str
    items: int
    came_s: float
    most: int = 0
    at_once: int = 0
    likeness: str = ""

    @property
    def offered(self) -> int:
        """How many of them one run may take."""
        return min(self.items, self.at_once or self.items)


@dataclass(frozen=True, slots=True)
class Queued:
    """All that waits of one signature and priority, lot after lot in the order that they are taken in.

    And of one `client`, where they take turns.
    """

    key: Key
    signature: int
    rank: int
    lots: tuple[Lot, ...]
    client: str = ""


@dataclass(frozen=True, slots=True)
class Share:
    """So many items of one job and priority in a run."""

    job_id: str
    rank: int
    items: int


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """One run: whose items it takes, when it is expected to start (half of the time, nine times in ten), and why."""

    key: Key
    signature: int
    shares: tuple[Share, ...]
    p50_s: float
    p90_s: float
    run_s: float
    reason: Reason

    @property
    def items(self) -> int:
        """How many items share it."""
        return sum(share.items for share in self.shares)


@dataclass(frozen=True, slots=True)
class Wave:
    """Consecutive runs on one model: what is unloaded for it, how long it loads, and its runs."""

    key: Key
    evicts: tuple[Key, ...]
    load_s: float
    runs: tuple[PlannedRun, ...]

    @property
    def reason(self) -> Reason:
        """Why this model was chosen."""
        return self.runs[0].reason


@dataclass(frozen=True, slots=True)
class Plan:
    """Waves in order, and when all is done; times are seconds from now. `is_whole`: nothing waits beyond them."""

    waves: tuple[Wave, ...]
    p50_s: float
    p90_s: float
    is_whole: bool


def plan(
    queue: Sequence[Queued],
    gpu: Gpu,
    estimates: Estimates,
    dials: Dials,
    now_s: float,
    *,
    promised: Iterable[PlannedRun] = (),
    spread: float = 0.2,
    max_runs: int = MAX_RUNS,
) -> Plan:
    """The waves that the policy makes of a queue that nothing is added to; `spread` is the usual error of a time.

    What is `promised` comes first, as a plan that is being carried out. Loads and runs are taken to err independently,
    so that errors add up as their squares do.
    """
    heads, left = [_Head(queued) for queued in queue], deque(promised)
    at_s, variance = now_s, 0.0
    waves: list[Wave] = []
    for _ in range(max_runs):
        heads = [head for head in heads if head.ready]
        decision = decide([head.waiting() for head in heads], gpu, estimates, dials, at_s)
        if decision is None:
            break
        decision, shares = _next(heads, left, decision, gpu, estimates)
        variance += (spread * decision.load_s) ** 2
        start_s = at_s - now_s + decision.load_s
        signature = decision.takes[0][0].signature
        run_s = estimates.run_s(signature, sum(share.items for share in shares))
        late_s = start_s + NINETIETH * math.sqrt(variance)
        run = PlannedRun(decision.key, signature, shares, start_s, late_s, run_s, decision.reason)
        _append(waves, decision, run)
        gpu = after(gpu, decision, at_s, run_s)
        at_s += decision.load_s + run_s
        variance += (spread * run_s) ** 2
    done_s = at_s - now_s
    return Plan(tuple(waves), done_s, done_s + NINETIETH * math.sqrt(variance), not any(head.ready for head in heads))


def first_start(made: Plan, job_id: str) -> PlannedRun | None:
    """The first run that takes items of a job, or None: it is not in the plan."""
    runs = (run for wave in made.waves for run in wave.runs)
    return next((run for run in runs if any(share.job_id == job_id for share in run.shares)), None)


def fifo_s(queue: Iterable[Queued], gpu: Gpu, estimates: Estimates, dials: Dials) -> float:
    """Seconds that the same work takes in the order that it came in, in batches of one lot, with one model loaded."""
    lots = sorted(((lot, queued) for queued in queue for lot in queued.lots), key=lambda pair: pair[0].came_s)
    loaded = gpu.residents[-1] if gpu.residents else None
    seconds = 0.0
    for lot, queued in lots:
        if queued.key != loaded:
            seconds += switch_s(queued.key, (loaded,) if loaded else (), estimates)
            loaded = queued.key
        items = estimates.batch(queued.signature, lot.offered, dials.batch_s)
        whole, rest = divmod(lot.items, items)
        seconds += whole * estimates.run_s(queued.signature, items)
        seconds += estimates.run_s(queued.signature, rest) if rest else 0.0
    return seconds


def single_s(made: Plan, estimates: Estimates) -> float:
    """Seconds that the same waves take with one item in each run."""
    runs = [run for wave in made.waves for run in wave.runs]
    loads_s = sum(wave.load_s for wave in made.waves)
    return loads_s + sum(run.items * estimates.run_s(run.signature, 1) for run in runs)


def as_decision(
    run: PlannedRun, takes: Iterable[tuple[Waiting, int]], usual: Decision, gpu: Gpu, estimates: Estimates
) -> Decision:
    """A planned run as the policy remembers what it decides; `usual` is what it would have decided."""
    is_loaded = run.key in gpu.residents
    return replace(
        usual,
        key=run.key,
        takes=tuple(takes),
        evicts=() if is_loaded else make_room(run.key, gpu, estimates, ()),
        load_s=0.0 if is_loaded else switch_s(run.key, gpu.residents, estimates),
        run_s=run.run_s,
        reason=run.reason,
    )


def is_cut_in(decision: Decision, planned: PlannedRun) -> bool:
    """Whether something urgent goes before what was planned, and was not planned itself."""
    return decision.reason.rule is Rule.URGENT and planned.reason.rule is not Rule.URGENT


class _Head:
    """What is left of a head."""

    def __init__(self, queued: Queued) -> None:
        self._queued = queued
        self._lots = deque(queued.lots)
        self.ready = sum(lot.offered for lot in queued.lots)
        self.line = queued.signature, queued.rank, queued.client

    def waiting(self) -> Waiting:
        """As the policy sees it."""
        queued = self._queued
        return Waiting(queued.key, queued.signature, queued.rank, self.ready, self._lots[0].came_s, queued.client)

    def has(self, signature: int, share: Share) -> bool:
        """Whether the items of a share of that signature are here, as far as any are left."""
        is_line = self.ready and (signature, share.rank) == self.line[:2]
        return bool(is_line) and any(lot.job_id == share.job_id for lot in self._lots)

    def take_of(self, job_id: str, items: int) -> int:
        """So many items of one job, as far as they are there; how many."""
        at = next((at for at, lot in enumerate(self._lots) if lot.job_id == job_id), None)
        if at is None:
            return 0
        lot = self._lots[at]
        number = min(items, lot.offered)
        self._take_from(at, number)
        return number

    @property
    def likeness(self) -> str:
        """What the first of them are like."""
        return self._lots[0].likeness

    def take(self, items: int, taken: int, most: int, likeness: str) -> tuple[list[Share], int]:
        """The first so many items, as far as all may share a run of at most so many; and how many these allow."""
        shares: list[Share] = []
        at = 0
        while items and at < len(self._lots):
            lot = self._lots[at]
            limit = min(most, lot.most or most)
            number = min(items, lot.offered, limit - taken)
            if number <= 0 or lot.likeness != likeness:
                return shares, 0
            most, items, taken = limit, items - number, taken + number
            shares.append(Share(lot.job_id, self._queued.rank, number))
            at += self._take_from(at, number)
        return shares, most

    def _take_from(self, at: int, items: int) -> bool:
        """Have a lot lose so many items; whether it is still there."""
        lot = self._lots[at]
        left = lot._replace(items=lot.items - items)
        self.ready += left.offered - lot.offered
        if left.items:
            self._lots[at] = left
        else:
            del self._lots[at]
        return bool(left.items)


def _next(
    heads: Sequence[_Head], promised: deque[PlannedRun], decision: Decision, gpu: Gpu, estimates: Estimates
) -> tuple[Decision, tuple[Share, ...]]:
    """What was promised, as far as it is there, unless something urgent cuts in; else what was decided."""
    while promised and not is_cut_in(decision, promised[0]):
        run = promised.popleft()
        takes = [(head, each) for each in run.shares for head in heads if head.has(run.signature, each)]
        before = [(head.waiting(), each.items) for head, each in takes]
        shares = tuple(replace(each, items=head.take_of(each.job_id, each.items)) for head, each in takes)
        if any(share.items for share in shares):
            return as_decision(run, before, decision, gpu, estimates), tuple(each for each in shares if each.items)
    return decision, _take(heads, decision)


def _take(heads: Sequence[_Head], decision: Decision) -> tuple[Share, ...]:
    """What a claim would take: no job has more items in a run than it allows, whosever they are."""
    shares: list[Share] = []
    most, likeness = decision.items, ""
    for head_taken, items in decision.takes:
        line = head_taken.signature, head_taken.rank, head_taken.client
        head = next(head for head in heads if head.line == line)
        likeness = likeness if shares else head.likeness
        more, most = head.take(items, sum(share.items for share in shares), most, likeness)
        shares += more
        if not most:
            break
    return tuple(shares)


def _append(waves: list[Wave], decision: Decision, run: PlannedRun) -> None:
    if waves and waves[-1].key == decision.key:
        waves[-1] = replace(waves[-1], runs=(*waves[-1].runs, run))
    else:
        waves.append(Wave(decision.key, decision.evicts, decision.load_s, (run,)))
