"""What loads and runs are learned to cost."""

import random
from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stoker_daemon.scheduling.costs import LIGHT, UNKNOWN_LOAD_S, Costs, Line, Load, Table, units
from stoker_daemon.scheduling.residency import Key

A, B, OTHER = Key("one", "a"), Key("one", "b"), Key("two", "a")


def learned(points: Sequence[tuple[float, float]], offset: float = 1.0, slope: float = 1.0) -> Line:
    """A line that has seen these points."""
    line = Line(offset, slope)
    for u, y in points:
        line.learn(u, y)
    return line


def test_seed_holds_at_first() -> None:
    """We expect the seed's word to hold until there are three observations."""
    assert learned([(1, 9), (2, 9)]).at(10) == 11
    assert learned([(1, 9), (2, 9), (3, 9)]).at(10) == pytest.approx(9)


def test_exact_line() -> None:
    """We expect a line without noise to be found as it is."""
    line = learned([(u, 3 + 0.5 * u) for u in (1, 2, 4, 8, 1, 2)])
    assert (line.offset, line.slope) == (pytest.approx(3), pytest.approx(0.5))


def test_noise() -> None:
    """We expect a noisy line to be found nearly."""
    dice = random.Random(4)
    line = learned([(u, (2 + 1.5 * u) * dice.gauss(1, 0.05)) for u in [1, 2, 4, 8] * 25])
    assert line.at(1) == pytest.approx(3.5, rel=0.15)
    assert line.at(8) == pytest.approx(14, rel=0.05)


def test_one_size_only() -> None:
    """We expect the seed's line to be scaled to what was seen while there is but one size."""
    line = learned([(4, 20)] * 5, offset=2, slope=2)
    assert (line.at(4), line.at(8)) == (pytest.approx(20), pytest.approx(36))


def test_outlier() -> None:
    """We expect one hiccup of a hundred times the usual to move the line by little."""
    before = learned([(u, 3 + 0.5 * u) for u in [1, 2, 4, 8] * 5])
    after = learned([*[(u, 3 + 0.5 * u) for u in [1, 2, 4, 8] * 5], (4, 500)])
    assert after.at(4) == pytest.approx(before.at(4), rel=0.05)


def test_change() -> None:
    """We expect a lasting change to be followed within some dozens of runs."""
    line = learned([(u, 2.0 * u) for u in [1, 2, 4, 8] * 10] + [(u, 5.0 * u) for u in [1, 2, 4, 8] * 15])
    assert line.at(4) == pytest.approx(20, rel=0.15)


@given(st.lists(st.tuples(st.floats(0.1, 1e4), st.floats(0, 1e4)), min_size=1, max_size=60))
def test_never_absurd(points: list[tuple[float, float]]) -> None:
    """We expect that nothing takes less than no time, and more work never less, whatever was seen."""
    line = learned(points)
    assert line.offset >= 0
    assert line.slope >= 0
    assert line.at(1e4) < 1e9


def test_loads() -> None:
    """We expect a load as it was seen, for an unknown model the mean of its engine's, else the table's."""
    costs = Costs()
    assert costs.load_s(A) == UNKNOWN_LOAD_S
    assert costs.load_s(A, table=Table(load_s=7)) == 7
    for seconds in (10.0, 14.0):
        costs.learn_load(A, seconds)
    costs.learn_load(OTHER, 99.0)
    assert (costs.load_s(A), costs.load_s(B), costs.load_s(OTHER)) == (12.0, 12.0, 99.0)
    costs.learn_load(A, 1.0, mode="lru")
    assert (costs.load_s(A), costs.load_s(A, "lru")) == (12.0, 1.0)


def test_a_load_that_hung() -> None:
    """We expect one very long load to be believed only in part."""
    costs = Costs()
    for _ in range(9):
        costs.learn_load(A, 10.0)
    costs.learn_load(A, 1_000.0)
    assert costs.load_s(A) < 12


def test_warm_up() -> None:
    """We expect first runs after a load to count only while nothing better is known, and then but little."""
    costs = Costs()
    for _ in range(4):
        costs.learn_run("one", "f", 1, 30, warm=False)
    assert costs.run_line("one", "f").at(1) == pytest.approx(30)
    for _ in range(12):
        costs.learn_run("one", "g", 1, 3, warm=True)
        costs.learn_run("one", "g", 1, 30, warm=False)
    assert costs.run_line("one", "g").at(1) == pytest.approx(3, rel=0.02)
    assert costs.run_line("two", "g").at(1) == costs.run_line("one", "unknown").at(1) == 2.8


def test_memory_seed() -> None:
    """We expect the published memory of 1, 4 and 8 images until there is something better, and more with controls."""
    costs = Costs()
    assert [costs.memory_line("one", "f").at(n) for n in (1, 4, 8)] == [10, 22, 38]
    assert costs.memory_line("one", "f", controls=2).at(1) == 12
    for n in (1, 2, 4):
        costs.learn_memory("one", "f", n, 3 + n)
    assert costs.memory_line("one", "f").at(8) == pytest.approx(11)


def test_kept() -> None:
    """We expect what was learned to survive being written down, and nonsense to be refused."""
    costs = Costs()
    for n in (1, 2, 4, 8):
        costs.learn_run("one", "f", n, 2.0 * n, warm=True)
        costs.learn_memory("one", "f", n, 2.0 * n)
        costs.learn_load(A, 10.0 + n)
    again = Costs.decoded(costs.encoded())
    assert again == costs
    for each in (costs, again):
        each.learn_run("one", "f", 3, 7, warm=True)
    assert again == costs
    with pytest.raises(msgspec.ValidationError):
        Costs.decoded(b'{"loads": 3}')


def test_units() -> None:
    """We expect work to grow with items, steps and pixels, and to double with guidance."""
    assert units(2, 20, 1.5, guided=False) == 60
    assert units(2, 20, 1.5, guided=True) == 120


def test_levels() -> None:
    """We expect what is put on weights to cost a part of these until it was seen, and to have a price of its own."""
    costs, table = Costs(), Table(load_s=20)
    whole, lora, vae = Key("one", "a + x"), Key("one", " + x"), Key("one", " + v")
    assert (costs.load_s(whole, table=table), costs.load_s(lora, table=table)) == (20, 20 * LIGHT)
    costs.learn_load(whole, 40.0)
    assert (costs.load_s(Key("one", "a")), costs.load_s(Key("one", "b + y")), costs.load_s(lora)) == (
        40,
        40,
        40 * LIGHT,
    )
    costs.learn_load(lora, 1.0)
    costs.learn_load(vae, 3.0)
    assert [costs.load_s(each) for each in (lora, vae, Key("one", " + y"), whole, B)] == [1, 3, 2, 40, 40]
    costs.learn_load(lora, 0.5, mode="lru")
    assert (costs.load_s(lora, "lru"), costs.load_s(Key("one", " + y"), "lru"), costs.load_s(lora)) == (0.5, 0.5, 1)
    assert Costs.decoded(costs.encoded()) == costs


def test_levels_of_before() -> None:
    """We expect loads that an earlier release has kept, by all files at once, to be known for the heavy weights."""
    loads = {"one\x1fa + x\x1flru": Load(6.0, 3), "one\x1fb\x1flru": Load(9.0, 2), "one\x1fb + y\x1flru": Load(5.0, 1)}
    costs = Costs.decoded(Costs(loads).encoded())
    assert [costs.load_s(Key("one", name), "lru") for name in ("a", "a + y", "b", "b + z")] == [6, 6, 9, 9]
