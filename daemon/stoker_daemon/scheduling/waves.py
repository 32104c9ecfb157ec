"""Which items run next, how many at once, and why: load once and serve what is there, unless others can't wait."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NamedTuple

from stoker_daemon.scheduling.dials import Dials
from stoker_daemon.scheduling.residency import Estimates, Gpu, Key, make_room, switch_s
from stoker_daemon.scheduling.turns import place_in, take_turn

_URGENT, _HIGH = 0, 1
_NEVER = float("inf")


class Waiting(NamedTuple):
    """All ready items of one signature and priority: how many, and when the oldest came. Rank 0 is the most urgent.

    And of one `client`, where they take turns.
    """

    key: Key
    signature: int
    rank: int
    ready: int
    oldest_s: float
    client: str = ""


class Rule(StrEnum):
    """Which rule chose."""

    URGENT = "urgent"
    RESIDENCY = "residency"
    CAP = "cap"
    INDEX = "index"


@dataclass(frozen=True, slots=True)
class Reason:
    """The rule that chose, how long its item had waited, and where the index chose: its value and the next best.

    `passed` is who would have been first, had it not been `client`'s turn.
    """

    rule: Rule
    waited_s: float
    index: float = 0.0
    runner_up: Key | None = None
    runner_up_index: float = 0.0
    client: str = ""
    passed: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """What runs next: so many items of each head, in this order, once the models that it evicts have made room.

    `load_s` and `run_s` are what it is expected to take. `tokens` and `urgent_at_s` are what `after` remembers.
    """

    key: Key
    takes: tuple[tuple[Waiting, int], ...]
    evicts: tuple[Key, ...]
    load_s: float
    run_s: float
    reason: Reason
    tokens: float
    urgent_at_s: float

    @property
    def items(self) -> int:
        """How many items share the run."""
        return sum(number for _, number in self.takes)


class _Group:
    """All that waits for one model; items and seconds of work by rank."""

    __slots__ = ("heads", "items", "work_s")

    def __init__(self) -> None:
        self.heads: list[Waiting] = []
        self.items = [0, 0, 0, 0]
        self.work_s = [0.0, 0.0, 0.0, 0.0]


@dataclass(slots=True)
class _Moment:
    """What the rules look at."""

    waiting: Sequence[Waiting]
    groups: dict[Key, _Group]
    gpu: Gpu
    estimates: Estimates
    dials: Dials
    tokens: float
    now_s: float

    def turn(self, head: Waiting) -> int:
        """The smaller, the sooner it is the turn of its client."""
        return place_in(self.gpu.turns, head.client)


def decide(waiting: Sequence[Waiting], gpu: Gpu, estimates: Estimates, dials: Dials, now_s: float) -> Decision | None:
    """What runs next, None if nothing waits.

    Four rules, the first that applies: an urgent item that waited its cap cuts in; the present model keeps the GPU for
    some time; any item that waited its cap; the best index. Webster and Baker (1995) order batches by the weight that
    they end per second; here a load counts `patience` times, for all that arrives meanwhile waits for it too.
    """
    if not waiting:
        return None
    urgent_at_s = now_s if any(head.rank == _URGENT for head in waiting) else gpu.urgent_at_s
    batch_s = dials.urgent_batch_s if now_s - urgent_at_s <= dials.urgent_memory_s else dials.batch_s
    groups = _group(waiting, estimates, batch_s)
    tokens = min(dials.cut_in_burst, gpu.tokens + max(0.0, now_s - gpu.tokens_at_s) * dials.cut_ins_per_min / 60)
    moment = _Moment(waiting, groups, gpu, estimates, dials, tokens, now_s)
    first, reason = _urgent(moment) or _resident(moment) or _capped(moment) or _best(moment)
    key = first.key
    takes = _fill(first, groups[key].heads, estimates, batch_s)
    is_loaded = key in gpu.residents
    load_s = 0.0 if is_loaded else switch_s(key, gpu.residents, estimates)
    run_s = estimates.run_s(first.signature, sum(number for _, number in takes))
    if reason.rule is Rule.URGENT:
        tokens -= _price(load_s + run_s, dials)
    evicts = () if is_loaded else make_room(key, gpu, estimates, groups)
    return Decision(key, takes, evicts, load_s, run_s, reason, tokens, urgent_at_s)


def after(gpu: Gpu, decision: Decision, began_s: float, run_s: float) -> Gpu:
    """What is loaded once a decision that began then has been carried out, and its items ran for so long."""
    present, key = gpu.residents[-1:], decision.key
    goes_on = any((each.engine, each.heavy) == (key.engine, key.heavy) for each in present)
    left = tuple(each for each in gpu.residents if each != decision.key and each not in decision.evicts)
    return replace(
        gpu,
        residents=(*left, decision.key),
        worked_s=run_s + (gpu.worked_s if goes_on else 0.0),
        tokens=decision.tokens,
        tokens_at_s=began_s,
        urgent_at_s=decision.urgent_at_s,
        turns=take_turn(gpu.turns, decision.takes[0][0].client),
    )


def _group(waiting: Sequence[Waiting], estimates: Estimates, batch_s: float) -> dict[Key, _Group]:
    groups: dict[Key, _Group] = {}
    for head in waiting:
        key, signature, rank, ready, _, _ = head
        group = groups.get(key)
        if group is None:
            group = groups[key] = _Group()
        items = estimates.batch(signature, ready, batch_s)
        group.heads.append(head)
        group.items[rank] += ready
        group.work_s[rank] += estimates.run_s(signature, items) * ready / items
    return groups


# The rules, in their order


def _urgent(moment: _Moment) -> tuple[Waiting, Reason] | None:
    if moment.tokens < 1:
        return None
    came_s = moment.now_s - moment.dials.caps_s[_URGENT]
    late = [head for head in moment.waiting if head.rank == _URGENT and head.oldest_s <= came_s]
    if not late:
        return None
    first = min(late, key=lambda head: (head.key not in moment.gpu.residents, moment.turn(head), head.oldest_s))
    return first, Reason(Rule.URGENT, moment.now_s - first.oldest_s)


def _resident(moment: _Moment) -> tuple[Waiting, Reason] | None:
    gpu, times = moment.gpu, moment.dials.residency
    group = moment.groups.get(gpu.residents[-1]) if gpu.residents else None
    if group is None:
        return None
    is_pressed = _is_pressed(moment)
    if is_pressed:
        times = max(times, gpu.patience)
    elif not group.items[_URGENT] and any(head.rank == _URGENT for head in moment.waiting):
        return None
    if gpu.worked_s >= times * moment.estimates.load_s(gpu.residents[-1]):
        return None
    first, passed = _first(group.heads, moment)
    return first, Reason(Rule.RESIDENCY, moment.now_s - first.oldest_s, client=first.client, passed=passed)


def _is_pressed(moment: _Moment) -> bool:
    """Whether caps of normal or low items are reached, which means that there is more work than time.

    To go from due date to due date would then load so much that all are late: visits have to be so long that loads
    leave enough time for what arrives.
    """
    caps_s, now_s = moment.dials.caps_s, moment.now_s
    return any(head.rank > _HIGH and now_s - head.oldest_s > caps_s[head.rank] for head in moment.waiting)


def _capped(moment: _Moment) -> tuple[Waiting, Reason] | None:
    caps_s = moment.dials.caps_s
    due_s = (caps_s[_HIGH], *caps_s[1:])  # an urgent item that may not cut in is overtaken no longer than a high one
    first = min(moment.waiting, key=lambda head: head.oldest_s + due_s[head.rank])
    waited_s = moment.now_s - first.oldest_s
    return (first, Reason(Rule.CAP, waited_s)) if waited_s > due_s[first.rank] else None


def _best(moment: _Moment) -> tuple[Waiting, Reason]:
    (cut_in_s, cutting), (next_s, _) = _cut_ins(moment)
    best, best_index, second, second_index = None, -1.0, None, 0.0
    for key, group in moment.groups.items():
        index = _index(moment, key, group, next_s if key == cutting else cut_in_s)
        if index > best_index:
            best, best_index, second, second_index = key, index, best, max(0.0, best_index)
        elif index > second_index:
            second, second_index = key, index
    assert best is not None
    first, passed = _first(moment.groups[best].heads, moment)
    waited_s = moment.now_s - first.oldest_s
    return first, Reason(Rule.INDEX, waited_s, best_index, second, second_index, first.client, passed)


def _cut_ins(moment: _Moment) -> tuple[tuple[float, Key | None], tuple[float, Key | None]]:
    """The two models that something urgent will cut in for first, and in how many seconds."""
    dials, now_s = moment.dials, moment.now_s
    token_s = max(0.0, 1 - moment.tokens) * 60 / dials.cut_ins_per_min if dials.cut_ins_per_min else _NEVER
    first: tuple[float, Key | None] = (_NEVER, None)
    second: tuple[float, Key | None] = (_NEVER, None)
    for head in moment.waiting:
        if head.rank == _URGENT:
            coming = max(token_s, head.oldest_s + dials.caps_s[_URGENT] - now_s), head.key
            if coming[0] < first[0]:
                first, second = coming, first if first[1] != head.key else second
            elif coming[0] < second[0] and head.key != first[1]:
                second = coming
    return first, second


def _index(moment: _Moment, key: Key, group: _Group, until_s: float) -> float:
    """The most weight that a visit ends per second, over how many of its heaviest items it serves.

    A visit that an urgent item will end in `until_s` seconds is worth what it serves until then.
    """
    weights = moment.dials.weights
    weight, seconds = 0.0, 0.0
    charge_s = 0.0
    if key not in moment.gpu.residents:
        load_s = switch_s(key, moment.gpu.residents, moment.estimates)
        until_s -= load_s
        charge_s = moment.gpu.patience * (load_s + _again_s(moment, key))
    best = 0.0
    for rank, items in enumerate(group.items):
        work_s = group.work_s[rank]
        if items and seconds < until_s:
            share = min(1.0, (until_s - seconds) / work_s) if work_s else 1.0
            weight += weights[rank] * items * share
            seconds += work_s * share
            best = max(best, weight / max(1e-9, charge_s + seconds))
    return best


def _again_s(moment: _Moment, key: Key) -> float:
    """What it takes to load again what gives way to a model with work left."""
    evicts = make_room(key, moment.gpu, moment.estimates, moment.groups)
    again = [each for each in evicts if each in moment.groups]
    if not again:
        return 0.0
    left = (*(each for each in moment.gpu.residents if each not in evicts), key)
    return sum(switch_s(each, left, moment.estimates) for each in again)


# Within a model


def _first(heads: Sequence[Waiting], moment: _Moment) -> tuple[Waiting, str]:
    """What is past its cap, then the highest priority, then the client whose turn it is, then the oldest.

    And who would have been first if it were not for turns: "", the same client.
    """
    caps_s, now_s = moment.dials.caps_s, moment.now_s
    usual = min(heads, key=lambda head: (now_s - head.oldest_s <= caps_s[head.rank], head.rank, head.oldest_s))
    if not usual.client:
        return usual, ""
    is_late = now_s - usual.oldest_s > caps_s[usual.rank]
    equals = (
        head for head in heads if head.rank == usual.rank and (now_s - head.oldest_s > caps_s[head.rank]) == is_late
    )
    first = min(equals, key=lambda head: (moment.turn(head), head.oldest_s))
    return first, "" if first.client == usual.client else usual.client


def _fill(
    first: Waiting, heads: Sequence[Waiting], estimates: Estimates, batch_s: float
) -> tuple[tuple[Waiting, int], ...]:
    """The chosen item, and as many others of its signature as should share its run, by priority."""
    mates = [head for head in heads if head.signature == first.signature]
    mates.sort(key=lambda head: (head.rank, head is not first))
    left = estimates.batch(first.signature, sum(head.ready for head in mates), batch_s) - 1
    takes = [(first, 1)]
    for head in mates:
        more = min(left, head.ready - (head is first))
        left -= more
        if head is first:
            takes[0] = (first, 1 + more)
        elif more:
            takes.append((head, more))
    return tuple(takes)


def _price(seconds: float, dials: Dials) -> float:
    """Tokens for a cut-in: one, or more where one a minute would leave others less than half of the time."""
    return max(1.0, seconds * dials.cut_ins_per_min / 30)
