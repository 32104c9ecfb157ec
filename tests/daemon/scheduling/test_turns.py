"""Clients of one priority take turns, and nobody else notices."""

from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.daemon.scheduling.test_deciding import a_run
from tests.daemon.scheduling.test_waves import NOW_S, A, B, Costs

from stoker_daemon.jobs.records import Head, Signature
from stoker_daemon.scheduling import policy
from stoker_daemon.scheduling.deciding import ByKey, Decider, InWaves
from stoker_daemon.scheduling.dials import BALANCED
from stoker_daemon.scheduling.plan import Lot, PlannedRun, Queued, plan
from stoker_daemon.scheduling.residency import Gpu
from stoker_daemon.scheduling.turns import MAX_CLIENTS, take_turn
from stoker_daemon.scheduling.waves import Rule, Waiting, decide
from stoker_daemon.scheduling.wording import why_chosen
from stoker_protocol.jobs import Priority

LOADED = Gpu(residents=(A,), worked_s=1_000.0)


def queued(client: str, items: int, waited_s: float, rank: int = 2) -> Queued:
    """One job of a client, named as that is, that waits for the loaded model."""
    return Queued(A, 0, rank, (Lot(client, items, NOW_S - waited_s),), client)


def runs_of(queue: list[Queued], most: int = 1, gpu: Gpu = LOADED) -> list[PlannedRun]:
    """The runs that are made of a queue."""
    made = plan(queue, gpu, Costs(most), BALANCED, NOW_S)
    return [run for wave in made.waves for run in wave.runs]


def order_of(runs: list[PlannedRun]) -> str:
    """Whose items ran, in their order."""
    return "".join(share.job_id * share.items for run in runs for share in run.shares)


def test_turns() -> None:
    """We expect two clients to alternate until the one with less is done, and a later one to have had no turn yet."""
    assert order_of(runs_of([queued("a", 200, 9), queued("b", 5, 1)])) == "ab" * 5 + "a" * 195
    assert order_of(runs_of([queued("a", 9, 9), queued("b", 2, 1), queued("c", 1, 0)])) == "abcab" + "a" * 7


def test_a_run_is_a_turn() -> None:
    """We expect what shares a run with the client whose turn it is to be no turn of its own."""
    runs = runs_of([queued("a", 20, 9), queued("b", 5, 1)], most=4)
    assert [[(share.job_id, share.items) for share in run.shares] for run in runs][:4] == [
        [("a", 4)],
        [("b", 4)],
        [("a", 4)],
        [("b", 1), ("a", 3)],
    ]


def test_why_it_is_somebody_elses_turn() -> None:
    """We expect the reason to name who would have been first, and whose turn it is, and only then."""
    said = [why_chosen(run.reason, BALANCED) for run in runs_of([queued("ann", 3, 9), queued("bob", 1, 1)])]
    assert [why.endswith("; it is bob's turn, ann had one") for why in said] == [False, True, False, False]


def test_priorities_and_caps_come_before_turns() -> None:
    """We expect a turn to count within one priority only, and not against who has waited for too long."""
    had_one = replace(LOADED, turns=("a",))
    assert order_of(runs_of([queued("a", 1, 1, rank=1), queued("b", 1, 9)], gpu=had_one)) == "ab"
    assert order_of(runs_of([queued("a", 1, 3_601), queued("b", 1, 1)], gpu=had_one)) == "ab"


def test_turns_cost_no_load() -> None:
    """We expect the loaded model to go on for a client that had its turn, as it would if there were no turns."""
    waiting = [Waiting(A, 0, 2, 9, NOW_S - 1, "a"), Waiting(B, 1, 2, 9, NOW_S - 9, "b")]
    made = decide(waiting, replace(LOADED, turns=("a",)), Costs(), BALANCED, NOW_S)
    assert made
    assert made.key == A


def test_turns_of_urgent_items() -> None:
    """We expect clients to take turns also in cutting in."""
    waiting = [Waiting(B, 1, 0, 9, NOW_S - 99, "a"), Waiting(B, 1, 0, 1, NOW_S - 61, "b")]
    made = decide(waiting, replace(LOADED, turns=("a",)), Costs(), BALANCED, NOW_S)
    assert made
    assert (made.reason.rule, made.takes[0][0].client) == (Rule.URGENT, "b")


clients = st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 40), min_size=1)


@given(clients, st.integers(1, 8))
def test_nobody_has_two_turns_before_another_has_one(items: dict[str, int], most: int) -> None:
    """We expect between two turns of a client one of each other that still waits, and each item to run once."""
    runs = runs_of([queued(client, number, 9 - place) for place, (client, number) in enumerate(items.items())], most)
    left, since = Counter(items), dict.fromkeys(items, 0)
    for number, run in enumerate(runs, start=1):
        whose = run.shares[0].job_id
        assert since[whose] == min(since[each] for each in left)
        since[whose] = number
        for share in run.shares:
            left[share.job_id] -= share.items
        left = +left
    assert not left


def in_waves() -> Decider:
    """The policy of lanes that load models."""
    return InWaves(BALANCED, lambda _: 1, lambda: (), 0, nullcontext())


def by_key() -> Decider:
    """That of other lanes."""
    return ByKey(policy.in_turn, lambda _: 1)


def a_head(client: str, oldest: int) -> Head:
    """What waits of a client for one model."""
    return Head(1, Signature("gpu", "a", "a"), Priority.NORMAL, 50, oldest, 0, client)


def chosen(decider: Decider, run_id: str) -> str:
    """Whose item a run takes first."""
    choice = decider.choose([a_head("a", 1), a_head("b", 2)], run_id, 1_000)
    assert choice
    return choice.takes[0][0].client


@pytest.mark.parametrize("make", [in_waves, by_key])
def test_turns_of_runs(make: Callable[[], Decider]) -> None:
    """We expect turns among runs that are chosen before the last one has begun, and after it has."""
    decider = make()
    assert [chosen(decider, run_id) for run_id in ("1", "2")] == ["a", "b"]
    for run_id in ("1", "2"):
        decider.loaded(a_run(run_id, "a"), 0.0, 1_000)
    assert [chosen(decider, run_id) for run_id in ("3", "4")] == ["a", "b"]


def test_memory_is_bounded() -> None:
    """We expect clients beyond the bound to be forgotten, the longest ago first."""
    turns: tuple[str, ...] = ()
    for number in range(MAX_CLIENTS + 1):
        turns = take_turn(turns, str(number))
    assert list(turns) == [str(number) for number in range(1, MAX_CLIENTS + 1)]
