"""How much work is offered, and how dear that makes a load."""

import pytest

from stoker_daemon.scheduling.patience import WINDOW_S, OfferedLoad, patience
from stoker_daemon.scheduling.residency import Key

A, B = Key("one", "a"), Key("one", "b")


@pytest.mark.parametrize(("rho", "expected"), [(0, 1), (0.5, 3), (0.8, 9), (0.9, 10), (1, 10), (7, 10)])
def test_patience(rho: float, expected: float) -> None:
    """We expect loads to grow dear as the GPU fills up, up to the bound."""
    assert patience(rho, 10) == pytest.approx(expected)


def test_steady_work() -> None:
    """We expect the work per second of the last twenty minutes, and each model's share."""
    offered = OfferedLoad(0.0)
    for second in range(0, 4_000, 10):
        offered.arrive(second, A if second % 40 else B, 4.0 if second < 2_000 else 8.0, idle=False)
    assert offered.rho(4_000.0) == pytest.approx(0.8, rel=0.02)
    assert offered.shares() == {A: pytest.approx(0.75, abs=0.01), B: pytest.approx(0.25, abs=0.01)}


def test_young_record() -> None:
    """We expect one job soon after the start not to look like a flood."""
    offered = OfferedLoad(1_000.0)
    offered.arrive(1_010.0, A, 30.0, idle=False)
    assert offered.rho(1_020.0) == pytest.approx(0.1)


def test_burst_after_an_idle_spell() -> None:
    """We expect the burst that ends an idle spell not to count, and what comes after it to count."""
    offered = OfferedLoad(0.0)
    offered.arrive(500.0, A, 99.0, idle=True)
    for n in range(10):
        offered.arrive(500.0 + 0.9 * n, A, 99.0, idle=False)
    assert offered.rho(600.0) == 0
    offered.arrive(600.0, A, 60.0, idle=False)
    offered.arrive(600.1, B, 60.0, idle=False)
    assert offered.rho(600.1) == pytest.approx(0.2, rel=0.01)


def test_what_is_long_ago() -> None:
    """We expect old work to be forgotten, shares included."""
    offered = OfferedLoad(0.0)
    offered.arrive(10.0, A, 99.0, idle=False)
    assert offered.rho(10.0 + WINDOW_S) == 0
    assert offered.shares() == {}
