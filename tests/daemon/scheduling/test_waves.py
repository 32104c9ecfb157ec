"""Which items run next, how many at once, and why, by the four rules."""

from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stoker_daemon.scheduling.dials import BALANCED, PRESETS
from stoker_daemon.scheduling.residency import JOIN, Gpu, Key, make_room, switch_s
from stoker_daemon.scheduling.waves import Decision, Rule, Waiting, after, decide

A, B, C = Key("one", "a"), Key("one", "b"), Key("two", "c")
URGENT, HIGH, NORMAL, LOW = range(4)
NOW_S = 100_000.0


@dataclass
class Costs:
    """Each load 20 s, each item 4 s, and as many share a run as `most` and its time allow."""

    most: int = 1
    each_s: float = 4.0

    def load_s(self, key: Key, /) -> float:
        """All alike."""
        return 20.0 if key else 0.0

    def size_gb(self, key: Key, /) -> float:
        """C is large."""
        return 20.0 if key == C else 10.0

    def run_s(self, signature: int, items: int, /) -> float:
        """No gain by batches."""
        return self.each_s * items if signature >= 0 else 0.0

    def batch(self, signature: int, ready: int, at_most_s: float, /) -> int:
        """As many as there is time for."""
        return max(1, min(ready, self.most, int(at_most_s / self.run_s(signature, 1))))


def heads(*rows: tuple[Key, int, int, float]) -> list[Waiting]:
    """Heads of a model, a rank, so many items, and seconds that the oldest has waited."""
    return [
        Waiting(key, "abc".index(key.residency), rank, ready, NOW_S - waited_s) for key, rank, ready, waited_s in rows
    ]


def decision(rows: list[Waiting], gpu: Gpu | None = None, costs: Costs | None = None) -> Decision:
    """What is decided, with A loaded and its visit over unless `gpu` says otherwise."""
    made = decide(rows, gpu or Gpu(residents=(A,), worked_s=1_000.0), costs or Costs(), BALANCED, NOW_S)
    assert made
    return made


NEW_VISIT = Gpu(residents=(A,), worked_s=39.0)


@pytest.mark.parametrize(
    ("waiting", "gpu", "expected"),
    [
        # the loaded model goes on, the index of its lowest items is better than a load
        (heads((A, LOW, 5, 1), (B, NORMAL, 1, 1)), None, (A, Rule.INDEX)),
        # many normal items are worth the load
        (heads((A, LOW, 5, 1), (B, NORMAL, 50, 1)), None, (B, Rule.INDEX)),
        # the same, but the visit has just begun
        (heads((A, LOW, 5, 1), (B, NORMAL, 50, 1)), NEW_VISIT, (A, Rule.RESIDENCY)),
        # a visit ends for an urgent item elsewhere, and not if there is one here
        (heads((A, LOW, 5, 1), (B, URGENT, 1, 1)), NEW_VISIT, (B, Rule.INDEX)),
        (heads((A, URGENT, 1, 1), (B, URGENT, 9, 1)), NEW_VISIT, (A, Rule.RESIDENCY)),
        # an urgent item past its cap cuts in, on the loaded model before an older one elsewhere
        (heads((A, URGENT, 50, 1), (B, URGENT, 1, 59)), NEW_VISIT, (A, Rule.RESIDENCY)),
        (heads((A, URGENT, 50, 1), (B, URGENT, 1, 61)), NEW_VISIT, (B, Rule.URGENT)),
        (heads((A, URGENT, 1, 61), (B, URGENT, 1, 99)), NEW_VISIT, (A, Rule.URGENT)),
        (heads((B, URGENT, 1, 61), (C, URGENT, 1, 99)), NEW_VISIT, (C, Rule.URGENT)),
        # past their caps, the earliest due date counts
        (heads((A, HIGH, 50, 1), (B, LOW, 1, 14_401)), None, (B, Rule.CAP)),
        (heads((A, HIGH, 50, 901), (B, NORMAL, 1, 3_602)), None, (B, Rule.CAP)),
        # without cut-ins left, an urgent item counts as high does
        (
            heads((A, HIGH, 50, 1), (B, URGENT, 1, 901)),
            replace(NEW_VISIT, tokens=0.5, tokens_at_s=NOW_S),
            (B, Rule.CAP),
        ),
    ],
)
def test_rules(waiting: list[Waiting], gpu: Gpu | None, expected: tuple[Key, Rule]) -> None:
    """We expect the model and the rule of the table."""
    made = decision(waiting, gpu)
    assert (made.key, made.reason.rule) == expected


def test_nothing_waits() -> None:
    """We expect no decision about nothing."""
    assert decide([], Gpu(), Costs(), BALANCED, NOW_S) is None


def test_first_load() -> None:
    """We expect the first model to be loaded without an eviction, and what that and the run take."""
    made = decision(heads((B, NORMAL, 3, 1)), Gpu())
    assert (made.key, made.evicts, made.load_s, made.run_s, made.items) == (B, (), 20.0, 4.0, 1)


@pytest.mark.parametrize(
    ("waiting", "expected"),
    [
        # what waits with less priority rides free
        (heads((A, LOW, 20, 1), (A, HIGH, 1, 1)), [(HIGH, 1), (LOW, 3)]),
        (heads((A, LOW, 20, 1), (A, NORMAL, 2, 1), (A, HIGH, 1, 1)), [(HIGH, 1), (NORMAL, 2), (LOW, 1)]),
        (heads((A, NORMAL, 3, 1)), [(NORMAL, 3)]),
        # the one item that is past its cap leads, the others follow by priority
        (heads((A, LOW, 20, 14_401), (A, HIGH, 2, 1)), [(LOW, 2), (HIGH, 2)]),
    ],
)
def test_filling(waiting: list[Waiting], expected: list[tuple[int, int]]) -> None:
    """We expect a run to be filled with what its signature has, and never with more than waits."""
    made = decision(waiting, costs=Costs(most=4))
    assert [(head.rank, number) for head, number in made.takes] == expected


def test_urgent_runs_are_short() -> None:
    """We expect runs to be shorter while something urgent waits, and for some time after."""
    costs = Costs(most=8)
    quiet = Gpu(residents=(A,), worked_s=1_000.0)
    lately, long_ago = replace(quiet, urgent_at_s=NOW_S - 299), replace(quiet, urgent_at_s=NOW_S - 301)
    plenty = heads((A, NORMAL, 50, 1))
    assert [decision(plenty, gpu, costs).items for gpu in (quiet, lately, long_ago)] == [7, 4, 7]
    assert decision([*plenty, *heads((A, URGENT, 1, 1))], quiet, costs).items == 4


def test_visits_that_would_be_cut_short() -> None:
    """We expect a model not to be loaded for work that something urgent would soon interrupt."""
    rows = heads((B, NORMAL, 100, 1), (C, URGENT, 1, 50))
    costs, heavy = Costs(), replace(BALANCED, weights=(64.0, 16.0, 16.0, 1.0))
    soon = decide(rows, Gpu(residents=(A,), patience=1.0), costs, heavy, NOW_S)
    later = decide(heads((B, NORMAL, 100, 1)), Gpu(residents=(A,)), costs, heavy, NOW_S)
    assert soon
    assert later
    assert (soon.key, soon.reason.runner_up_index) == (C, 0.0)
    assert later.key == B


def test_cut_ins_are_rationed() -> None:
    """We expect each cut-in to cost a token, a long one more, and a minute to bring one back."""
    waiting = heads((A, NORMAL, 9, 1), (B, URGENT, 9, 61))
    gpu = replace(NEW_VISIT, tokens=2.0, tokens_at_s=NOW_S)
    first = decision(waiting, gpu)
    assert (first.reason.rule, first.tokens) == (Rule.URGENT, 1.0)
    assert after(gpu, first, NOW_S, 4.0).tokens == 1.0
    assert decision(waiting, gpu, Costs(each_s=40.0)).tokens == 0.0
    assert decision(waiting, replace(gpu, tokens=0.0, tokens_at_s=NOW_S - 59)).reason.rule is not Rule.URGENT
    assert decision(waiting, replace(gpu, tokens=0.0, tokens_at_s=NOW_S - 61)).reason.rule is Rule.URGENT


def test_patience_keeps_what_is_loaded() -> None:
    """We expect a load to be worth less while much arrives, and the reason to name what else there was."""
    waiting = heads((A, LOW, 5, 1), (B, NORMAL, 50, 1))
    made = decision(waiting, Gpu(residents=(A,), worked_s=1_000.0, patience=20.0))
    assert (made.key, made.reason.runner_up) == (A, B)
    assert made.reason.index == pytest.approx(1 / 4)
    assert made.reason.runner_up_index == pytest.approx(200 / (20 * 40 + 200))


def test_visits_under_pressure() -> None:
    """We expect a visit to last as long as patience asks for once normal or low items are late, not only high ones."""
    gpu = Gpu(residents=(A,), worked_s=100.0, patience=6.0)
    low, high = heads((A, NORMAL, 50, 9), (B, LOW, 9, 14_500)), heads((C, HIGH, 9, 901))
    urgent = heads((B, URGENT, 9, 9))
    rules = [
        decision(waiting, each).reason.rule
        for waiting, each in [
            (low, gpu),
            (low, replace(gpu, worked_s=121.0)),
            (low, replace(gpu, patience=2.0)),
            ([*low, *high, *urgent], gpu),
            ([*heads((A, NORMAL, 50, 9)), *high], gpu),
        ]
    ]
    assert rules == [Rule.RESIDENCY, Rule.CAP, Rule.CAP, Rule.RESIDENCY, Rule.CAP]


def test_visits() -> None:
    """We expect a visit to count the time that its items ran, and the next to begin anew."""
    gpu = Gpu(residents=(A,), worked_s=10.0)
    more, other = decision(heads((A, HIGH, 1, 1)), gpu), decision(heads((B, HIGH, 1, 1)), gpu)
    assert after(gpu, more, NOW_S, 4.0).worked_s == 14.0
    assert (after(gpu, other, NOW_S, 4.0).worked_s, after(gpu, other, NOW_S, 4.0).residents) == (4.0, (B,))


@pytest.mark.parametrize(
    ("gpu", "wanted", "expected"),
    [
        (Gpu(residents=(A, B), slots=3), [], ()),
        (Gpu(residents=(A,)), [A], (A,)),
        # of two that nobody wants the one that is seldom wanted
        (Gpu(residents=(A, B), slots=2, demand={A: 0.9, B: 0.1}), [], (B,)),
        # what is wanted stays, even if it was used before the other
        (Gpu(residents=(A, B), slots=2), [A], (B,)),
        # what is pinned stays as long as anything else can go
        (Gpu(residents=(A, B), slots=2, pinned=frozenset({B})), [A], (A,)),
        (Gpu(residents=(A,), pinned=frozenset({A})), [], (A,)),
        # for the same reload, the larger one
        (Gpu(residents=(A, C), slots=2), [A, C], (C,)),
        # as many as there must be for the room
        (Gpu(residents=(A, C), slots=9, room_gb=41.0), [], ()),
        (Gpu(residents=(A, C), slots=9, room_gb=35.0), [A, C], (C,)),
        (Gpu(residents=(A, C), slots=9, room_gb=12.0), [A, C], (C, A)),
    ],
)
def test_making_room(gpu: Gpu, wanted: list[Key], expected: tuple[Key, ...]) -> None:
    """We expect the models to give way whose reload is expected to cost least for each GB."""
    assert make_room(B if B not in gpu.residents else Key("new", "d"), gpu, Costs(), wanted) == expected


def test_presets() -> None:
    """We expect each preset to keep the order of priorities, and the first to hear an urgent item soonest."""
    for dials in PRESETS.values():
        assert list(dials.weights) == sorted(dials.weights, reverse=True)
        assert list(dials.caps_s) == sorted(dials.caps_s)
    caps_s = [PRESETS[name].caps_s[URGENT] for name in ("interactive", "balanced", "throughput")]
    assert caps_s == sorted(caps_s)


def a_head(key: Key, rank: int, ready: int, waited_s: float) -> Waiting:
    """One head."""
    return heads((key, rank, ready, waited_s))[0]


some_heads = st.lists(
    st.builds(a_head, st.sampled_from([A, B, C]), st.integers(0, 3), st.integers(1, 50), st.floats(0, 20_000)),
    min_size=1,
    max_size=12,
    unique_by=lambda head: (head.signature, head.rank),
)
some_gpu = st.builds(
    Gpu,
    residents=st.lists(st.sampled_from([A, B, C]), unique=True, max_size=2).map(tuple),
    slots=st.just(2),
    worked_s=st.floats(0, 100),
    patience=st.floats(1, 10),
    tokens=st.floats(-3, 6),
    tokens_at_s=st.just(NOW_S),
)


@given(some_heads, some_gpu, st.integers(1, 8))
def test_any_decision(waiting: list[Waiting], gpu: Gpu, most: int) -> None:
    """We expect what is chosen to wait, to be of one signature, to fit one run, and to be the same in any order."""
    costs = Costs(most)
    made = decision(waiting, gpu, costs)
    assert 1 <= made.items <= most
    assert all(head in waiting and head.key == made.key and 1 <= number <= head.ready for head, number in made.takes)
    assert len({head.signature for head, _ in made.takes}) == 1
    assert len(after(gpu, made, NOW_S, made.run_s).residents) <= 2
    assert (made.load_s == 0) == (made.key in gpu.residents)


@given(some_heads, some_gpu)
def test_rules_keep_their_promises(waiting: list[Waiting], gpu: Gpu) -> None:
    """We expect an item past its cap to be passed over only for an urgent one, the visit, or an earlier due date."""
    made = decision(waiting, gpu)
    caps_s = (BALANCED.caps_s[HIGH], *BALANCED.caps_s[1:])
    due_s = min(head.oldest_s + caps_s[head.rank] for head in waiting)
    late = any(head.rank == URGENT and head.oldest_s <= NOW_S - 60 for head in waiting)
    first = made.takes[0][0]
    match made.reason.rule:
        case Rule.URGENT:
            assert gpu.tokens >= 1
            assert first.rank == URGENT
        case Rule.RESIDENCY:
            assert gpu.worked_s < max(BALANCED.residency, gpu.patience) * 20
            assert made.key == gpu.residents[-1]
        case Rule.CAP:
            assert first.oldest_s + caps_s[first.rank] == due_s
        case Rule.INDEX:
            assert due_s >= NOW_S
    assert made.reason.rule is Rule.URGENT or not late or gpu.tokens < 1


@dataclass
class Leveled(Costs):
    """What is put on weights that are there takes 2 s."""

    light_s: float = 2.0

    def load_s(self, key: Key, /) -> float:
        """By level."""
        return self.light_s if key.residency.startswith(JOIN) else 20.0


AX, AY, APART, BX = (Key("one", name) for name in ("a + x", "a + y", "ay", "b + x"))


@pytest.mark.parametrize(
    ("rival", "rivals", "expected", "load_s"),
    [
        (AY, 5, AY, 2.0),  # its heavy weights are there
        (APART, 5, BX, 20.0),  # nothing of it is there: of equals, the first
        (AY, 1, BX, 20.0),  # not at any price
    ],
)
def test_what_differs_least_is_next(rival: Key, rivals: int, expected: Key, load_s: float) -> None:
    """We expect what shares heavy weights with what is loaded to go before a whole load that has no more to gain."""
    waiting = [Waiting(BX, 0, NORMAL, 20 if rivals == 1 else 5, NOW_S), Waiting(rival, 1, NORMAL, rivals, NOW_S)]
    made = decision(waiting, Gpu(residents=(AX,), worked_s=1_000.0, patience=1.0), Leveled())
    assert (made.key, made.load_s, made.evicts) == (expected, load_s, (AX,))


def test_coming_back_costs_as_little() -> None:
    """We expect what gives way, and has work left, to count with what it takes to put it back on the same weights."""
    waiting = [Waiting(AX, 0, LOW, 1, NOW_S), Waiting(AY, 1, NORMAL, 2, NOW_S)]
    gpu = Gpu(residents=(AX,), worked_s=1_000.0)
    assert decision(waiting, gpu, Leveled()).reason.index == pytest.approx(2 * 16 / 4 / (2 + 2 + 8))


def test_a_visit_is_to_heavy_weights() -> None:
    """We expect a visit to go on where only what is put on the weights changes."""
    gpu = Gpu(residents=(AX,), worked_s=30.0)
    for rival, worked_s in ((AY, 35.0), (BX, 5.0)):
        made = decision([Waiting(rival, 1, NORMAL, 1, NOW_S)], gpu, Leveled())
        assert after(gpu, made, NOW_S, 5.0).worked_s == worked_s


def test_no_dearer_than_all() -> None:
    """We expect what is put on weights never to be thought dearer than a whole load."""
    assert [switch_s(AY, (AX,), Leveled(light_s=light_s)) for light_s in (2.0, 50.0)] == [2.0, 20.0]
    assert [key.missing((AX,)).residency for key in (AX, AY, BX, Key("one", "a"), Key("two", "a + y"))] == [
        *("a + x", " + y", "b + x", " + ", "a + y")
    ]
    assert Key("one", "a & b + x").missing((AX,)).files == ["a", "b", "x"]
