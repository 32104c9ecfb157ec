"""How far a job is and when it is done, from what its runs took."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stoker_daemon.scheduling.eta import WINDOW, Pace, percent
from stoker_protocol.jobs import ItemCounts

seconds = st.floats(0.001, 1e6)
counts = st.integers(1, 1024)


def test_nothing_is_known_before_the_first_run() -> None:
    """We expect no rate and no time before a run has told one, and a run that never began to tell none."""
    pace = Pace()
    pace.note(0, 5)
    pace.note(5, 0)
    assert (pace.items_per_s(), pace.eta(10)) == (None, None)
    pace.note(2, 2)
    assert pace.items_per_s() == 1


def test_steady_pace() -> None:
    """We expect a steady pace to be told as it is, and both ends of the estimate to be one."""
    pace = Pace()
    for _ in range(3):
        pace.note(4, 8)
    eta = pace.eta(10)
    assert eta is not None
    assert (pace.items_per_s(), eta.p50, eta.p90) == (2, 5, 5)


def test_pace_follows_a_change() -> None:
    """We expect what was long ago to be forgotten."""
    pace = Pace()
    pace.note(1000, 1)
    for _ in range(WINDOW):
        pace.note(1, 1)
    assert pace.items_per_s() == 1


@given(st.lists(st.tuples(seconds, counts), min_size=1, max_size=100), st.floats(0, 1e6))
def test_estimate(runs: list[tuple[float, int]], remaining: float) -> None:
    """We expect a rate within what was seen, and an estimate that grows with what is left and has its ends in order."""
    pace = Pace()
    for took_s, items in runs:
        pace.note(took_s, items)
    rate, eta, more = pace.items_per_s(), pace.eta(remaining), pace.eta(remaining + 1)
    each = [items / took_s for took_s, items in runs[-WINDOW:]]
    assert rate is not None
    assert eta is not None
    assert more is not None
    assert min(each) * 0.999 <= rate <= max(each) * 1.001
    assert 0 <= eta.p50 <= eta.p90
    assert eta.p50 < more.p50
    assert eta.p90 < more.p90


@pytest.mark.parametrize(
    ("items", "running", "fraction", "expected"),
    [
        (ItemCounts(), 0, 0, 0),
        (ItemCounts(total=4, pending=4), 0, 0, 0),
        (ItemCounts(total=4, pending=2, running=1, succeeded=1), 1, 0, 25),
        (ItemCounts(total=4, pending=2, running=1, succeeded=1), 1, 0.5, 37.5),
        (ItemCounts(total=3, running=3), 3, 1 / 3, 33.33),
        (ItemCounts(total=4, succeeded=1, failed=1, cancelled=1, skipped=1), 0, 0, 100),
    ],
)
def test_percent(items: ItemCounts, running: int, fraction: float, expected: float) -> None:
    """We expect finished items whole, however they ended, and running ones by how far they are."""
    assert percent(items, running, fraction) == expected
