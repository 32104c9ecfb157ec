"""How many items share a run, and what trouble teaches."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stoker_daemon.scheduling.batch_size import FORGIVEN_S, Memory, Trials, best_size, first_trials
from stoker_daemon.scheduling.costs import Line

PUBLISHED = Line(6.0, 4.0)
"""GB of SDXL by images."""


def published_s(items: int) -> float:
    """Seconds of SDXL by images, as one line."""
    return 1.10 + 1.743 * items


def steep_s(items: int) -> float:
    """No gain at all."""
    return 4.0 * items


@pytest.mark.parametrize(
    ("ready", "allowed", "at_most_s", "expected"),
    [
        (50, 8, 30.0, 8),
        (50, 16, 60.0, 8),  # 16 is not 5 % better
        (50, 4, 30.0, 4),
        (3, 8, 30.0, 3),
        (1, 8, 30.0, 1),
        (50, 8, 10.0, 4),
        (50, 8, 0.1, 1),  # one item runs, however long it takes
    ],
)
def test_best_size(ready: int, allowed: int, at_most_s: float, expected: int) -> None:
    """We expect the size of the table for the published times."""
    assert best_size(ready, allowed, published_s, at_most_s) == expected


def test_no_gain() -> None:
    """We expect one item at a time where a batch gains nothing."""
    assert best_size(50, 8, steep_s, 60.0) == 1


@pytest.mark.parametrize(("free_gb", "expected"), [(80.0, 8), (36.0, 4), (21.0, 2), (10.0, 1), (1.0, 1)])
def test_risk(free_gb: float, expected: int) -> None:
    """We expect a smaller batch where a larger one is likely to run out of memory, which would cost a load."""
    memory = Memory(free_gb, PUBLISHED)
    assert best_size(50, 8, published_s, 30.0, load_s=20.0, memory=memory) == expected


@pytest.mark.parametrize(("free_gb", "expected"), [(6, 1), (24, 2), (27, 4), (80, 16), (119, 16)])
def test_published_memory(free_gb: float, expected: int) -> None:
    """We expect what the published memory allows on cards of that size, with the margin left free."""
    assert Trials(proven=16).allowed(16, Memory(free_gb, PUBLISHED), 0.0) == expected


def test_controls() -> None:
    """We expect to begin with half as many items for each active control, and with one at least."""
    assert [first_trials(controls).proven for controls in range(5)] == [8, 4, 2, 1, 1]


def test_probing() -> None:
    """We expect the next size to be tried after two clean runs, if memory allows."""
    trials, tried = first_trials(2), list[int]()
    for _ in range(7):
        tried.append(trials.allowed(8, Memory(80.0, PUBLISHED), 0.0))
        trials = trials.went_well(tried[-1], 1.0, 1.0, 0.0)
    assert tried == [2, 2, 4, 4, 8, 8, 8]
    assert replace(trials, proven=4).allowed(8, Memory(30.0, PUBLISHED), 0.0) == 4


def test_smaller_runs_prove_nothing() -> None:
    """We expect runs of fewer items, for want of more, not to allow a larger size."""
    trials = Trials(proven=4)
    for _ in range(5):
        trials = trials.went_well(1, 1.0, 1.0, 0.0)
    assert trials.allowed(8, None, 0.0) == 4


def test_out_of_memory() -> None:
    """We expect half the size after it, until an hour has passed or there is room for an item more."""
    trials = Trials(proven=8).ran_out(8, 30.0, 100.0)
    assert "8" in trials.said
    for _ in range(5):
        trials = trials.went_well(4, 1.0, 1.0, 200.0)
    assert trials.allowed(8, Memory(33.0, Line(1.0, 3.9)), 200.0) == 4
    assert trials.allowed(8, Memory(60.0, PUBLISHED), 200.0) == 8
    assert trials.allowed(8, None, 100.0 + FORGIVEN_S - 1) == 4
    assert trials.allowed(8, None, 100.0 + FORGIVEN_S) == 8


def test_slow_runs() -> None:
    """We expect two runs in a row that are far too slow to step down and to say why, and one to do nothing."""
    once = Trials(proven=8).went_well(8, 13.0, 10.0, 0.0)
    assert (once.allowed(8, None, 0.0), once.said) == (8, "")
    assert once.went_well(8, 10.0, 10.0, 0.0).went_well(8, 13.0, 10.0, 0.0).allowed(8, None, 0.0) == 8
    twice = once.went_well(8, 13.0, 10.0, 0.0)
    assert twice.allowed(8, None, 0.0) == 4
    assert twice.said == "batches of 8 take 13.0 s instead of 10.0 s: memory seems to be short"
    assert Trials(proven=1).went_well(1, 99.0, 1.0, 0.0).went_well(1, 99.0, 1.0, 0.0).said == ""


@given(
    st.integers(1, 100), st.integers(1, 16), st.floats(0, 100), st.floats(0, 100), st.floats(0.1, 200), st.floats(0, 50)
)
def test_any_size(ready: int, allowed: int, offset: float, slope: float, at_most_s: float, free_gb: float) -> None:
    """We expect at least one item, no more than wait or are allowed, and no run beyond its time but of one item."""
    line = Line(offset, slope)
    size = best_size(ready, allowed, lambda n: line.at(n), at_most_s, load_s=9.0, memory=Memory(free_gb, PUBLISHED))
    assert 1 <= size <= min(ready, allowed)
    assert size == 1 or line.at(size) <= at_most_s
