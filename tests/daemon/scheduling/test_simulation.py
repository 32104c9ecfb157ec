"""What the policy makes of arrivals on a simulated GPU: everybody's turn comes, and loads are few."""

from itertools import pairwise

import pytest
from benchmarks.scheduling.outcome import outcome
from benchmarks.scheduling.policies import POLICIES, Stoker
from benchmarks.scheduling.simulator import RunDone, simulate
from benchmarks.scheduling.trace import Arrival, Curve, Model, Trace
from benchmarks.scheduling.traces import TRACES, poisson
from hypothesis import given, settings
from hypothesis import strategies as st

from stoker_daemon.scheduling.dials import BALANCED, Dials
from stoker_daemon.scheduling.waves import Rule

SHORT = Dials(caps_s=(10.0, 60.0, 120.0, 240.0))
"""Caps that are reached by small traces."""
MODELS = {
    name: Model(load_s, 10.0, Curve(((1, 2.0), (4, 5.0)))) for name, load_s in (("A", 3.0), ("B", 9.0), ("C", 30.0))
}


@st.composite
def traces(draw: st.DrawFn, least: int = 1) -> Trace:
    """Some items, close together or not."""
    apart_s = draw(st.sampled_from([0.5, 3.0, 10.0]))
    at_s, items = 0.0, list[Arrival]()
    for model, rank, gap in draw(
        st.lists(
            st.tuples(st.sampled_from(list(MODELS)), st.integers(0, 3), st.floats(0, 2)), min_size=least, max_size=150
        )
    ):
        at_s += gap * apart_s
        items.append(Arrival(at_s, model, rank))
    return Trace(MODELS, items, slots=draw(st.integers(1, 2)), max_batch=draw(st.sampled_from([1, 4])))


@settings(max_examples=60, deadline=None)
@given(traces(), st.sampled_from(list(POLICIES)))
def test_every_item_runs_once(trace: Trace, policy: str) -> None:
    """We expect each policy to run each item in exactly one run, after it came, one run after the other."""
    runs = simulate(trace, POLICIES[policy](trace))
    assert sorted(number for run in runs for number in run.items) == list(range(len(trace.items)))
    assert all(trace.items[number].arrival_s <= run.began_s for run in runs for number in run.items)
    assert all(trace.items[number].model == run.model for run in runs for number in run.items)
    assert all(one.began_s + one.load_s + one.run_s <= other.began_s + 1e-9 for one, other in pairwise(runs))


@settings(max_examples=60, deadline=None)
@given(traces(least=80))  # fewer hardly ever have to wait for so long
def test_nobody_starves(trace: Trace) -> None:
    """We expect an item past its cap to be overtaken only by urgent ones, a visit's rest, or earlier due dates."""
    stoker = Stoker(trace, SHORT)
    runs = simulate(trace, stoker)
    caps_s = (SHORT.caps_s[1], *SHORT.caps_s[1:])
    due_s = {n: item.arrival_s + caps_s[item.rank] for n, item in enumerate(trace.items)}
    left = set(due_s)
    for run, decision in zip(runs, stoker.decisions, strict=True):
        late = [n for n in left if due_s[n] < run.began_s and trace.items[n].arrival_s <= run.began_s]
        match decision.reason.rule:
            case Rule.CAP:
                assert min(due_s[n] for n in run.items) == min(due_s[n] for n in late)
            case Rule.INDEX:
                assert not late
            case Rule.URGENT | Rule.RESIDENCY:
                pass
        left -= set(run.items)
    assert_bounded(runs, [decision.reason.rule for decision in stoker.decisions])


def assert_bounded(runs: list[RunDone], rules: list[Rule]) -> None:
    """The time that rules may take from the others is bounded: cut-ins by their tokens, a visit by its load."""
    cut_in_s = sum(run.load_s + run.run_s for run, rule in zip(runs, rules, strict=True) if rule is Rule.URGENT)
    end_s = runs[-1].began_s
    longest_s = max(model.load_s for model in MODELS.values()) + 5.0
    assert cut_in_s <= (SHORT.cut_in_burst + 1 + end_s / 60 * SHORT.cut_ins_per_min) * longest_s
    worked_s = 0.0
    for number, run in enumerate(runs):
        visited = number and runs[number - 1].model == run.model
        worked_s = worked_s if visited else 0.0
        if rules[number] is Rule.RESIDENCY:
            assert worked_s < SHORT.max_patience * MODELS[run.model].load_s
        worked_s += run.run_s


def test_flood_of_urgent_items() -> None:
    """We expect low items to get their turn under a flood of urgent ones for another model."""
    flood = [Arrival(10.0 * n, "B", 0) for n in range(400)]
    trace = Trace(MODELS, sorted([*flood, Arrival(1.0, "A", 3), Arrival(2.0, "C", 3)]))
    runs = simulate(trace, Stoker(trace, SHORT))
    waits_s = [run.began_s - item.arrival_s for run in runs for n in run.items if (item := trace.items[n]).rank == 3]
    assert max(waits_s) <= SHORT.caps_s[3] + 60


@pytest.mark.parametrize("name", ["backlog", "steady", "busy", "bursty", "two fit", "mixed", "curve, batch 8"])
def test_better_than_others(name: str) -> None:
    """We expect less weighted waiting than any other policy has, and no longer time in all than by priority."""
    rows = {policy: [0.0, 0.0] for policy in POLICIES}
    for seed in range(4):
        trace = TRACES[name](seed)
        for policy, make in POLICIES.items():
            got = outcome(policy, trace, simulate(trace, make(trace)))
            rows[policy][0] += got["weighted_wait_s"]
            rows[policy][1] += got["makespan_s"]
    assert rows["stoker"][0] <= 1.05 * min(waited for waited, _ in rows.values())
    assert rows["stoker"][1] <= 1.01 * rows["priority_affinity"][1]


def test_urgent_items_are_soon_served() -> None:
    """We expect 99 of 100 urgent items of a busy day to start within their cap, a load and a little."""
    trace = TRACES["sustained 0.20"](3)
    got = outcome("stoker", trace, simulate(trace, Stoker(trace)))
    assert got["by_priority"]["urgent"]["p99_s"] <= 120
    assert got["by_priority"]["low"]["max_s"] <= BALANCED.caps_s[3] + 600


def test_days_of_pressure() -> None:
    """We expect the GPU to keep up with work of nine tenths of its time for a day, and low items not to be lost."""
    trace = poisson(0.22, 10_000)(1)
    got = outcome("stoker", trace, simulate(trace, Stoker(trace)))
    assert got["load_share"] <= 0.25
    assert got["max_wait_s"] <= BALANCED.caps_s[3] + 2_000


def test_the_figures_of_a_small_trace() -> None:
    """We expect loads, waits from arrival to the run's begin, and shares to be those that one gets by hand."""
    trace = Trace(MODELS, [Arrival(0.0, "A", 0), Arrival(1.0, "B", 3), Arrival(1.0, "A", 3)])
    fifo = outcome("fifo", trace, simulate(trace, POLICIES["fifo"](trace)))
    greedy = outcome("greedy", trace, simulate(trace, POLICIES["greedy"](trace)))
    assert (fifo["swaps"], fifo["makespan_s"], fifo["max_wait_s"]) == (3, 3 + 2 + 9 + 2 + 3 + 2, 18)
    assert (greedy["swaps"], greedy["makespan_s"], greedy["load_share"]) == (2, 3 + 2 + 2 + 9 + 2, 12 / 18)
    assert greedy["weighted_wait_s"] == pytest.approx((64 * 3 + 4 + 15) / 66)
    assert greedy["by_priority"]["low"] == {"mean_s": 9.5, "p99_s": 15, "max_s": 15}
