"""What the policy is told of costs, and what runs teach."""

from stoker_daemon.scheduling.costs import Costs, Table
from stoker_daemon.scheduling.dials import BALANCED
from stoker_daemon.scheduling.estimating import Estimator, Kind
from stoker_daemon.scheduling.residency import Gpu, Key
from stoker_daemon.scheduling.waves import Waiting, decide

A = Key("comfy", "a")


def an_estimator(most: int = 8, controls: int = 0) -> Estimator:
    """One that knows a single signature, 1, and nothing of its costs."""
    return Estimator(Costs(), {1: Kind(A, "a-512", most, controls=controls)}, tables={"comfy": Table(load_s=9.0)})


def test_before_anything_ran() -> None:
    """We expect the table's word, and as many items as the published memory allows."""
    estimator = an_estimator()
    assert (estimator.load_s(A), estimator.run_s(1, 4), estimator.size_gb(A)) == (9.0, 1.0 + 4 * 1.8, 1.0)
    assert estimator.batch(1, 50, 60.0) == 8
    estimator.look(0.0, {"comfy": 24.0})
    assert estimator.batch(1, 50, 60.0) == 2
    estimator.look(0.0, {"comfy": 80.0})
    assert (estimator.batch(1, 50, 60.0), estimator.batch(1, 3, 60.0), estimator.batch(1, 50, 9.0)) == (8, 3, 4)


def test_limits() -> None:
    """We expect no more items than engine and job allow, and fewer to begin with under controls."""
    assert an_estimator(most=2).batch(1, 50, 60.0) == 2
    assert an_estimator(controls=2).batch(1, 50, 60.0) == 2


def test_learning() -> None:
    """We expect what ran to change the next answers at once."""
    estimator = an_estimator()
    estimator.look(0.0, {"comfy": 80.0})
    estimator.loaded(A, 3.0)
    for items in (1, 2, 4, 8):
        estimator.ran(1, items, 5.0 * items, warm=True, peak_gb=2.0 + items)
    assert estimator.load_s(A) == 3.0
    assert round(estimator.run_s(1, 8), 3) == 40.0
    assert estimator.batch(1, 50, 60.0) == 1
    estimator.look(0.0, {"comfy": 7.0})
    assert estimator.batch(1, 50, 60.0) == 1


def test_running_out_of_memory() -> None:
    """We expect half as many items after it."""
    estimator = an_estimator()
    estimator.look(0.0, {"comfy": 80.0})
    assert estimator.batch(1, 50, 60.0) == 8
    estimator.ran_out(1, 8)
    assert estimator.batch(1, 50, 60.0) == 4
    estimator.look(3_600.0, {"comfy": 80.0})
    for _ in range(5):
        estimator.ran(1, 4, 1.0 + 4 * 1.8, warm=True)
    assert estimator.batch(1, 50, 60.0) == 8


def test_suddenly_slow() -> None:
    """We expect two runs far slower than those before to step down, and to say so."""
    estimator = an_estimator()
    for items in (1, 2, 4, 8, 8):
        estimator.ran(1, items, 1.0 + items, warm=True)
    estimator.ran(1, 8, 30.0, warm=False)
    estimator.ran(1, 8, 30.0, warm=True)
    assert estimator.batch(1, 50, 60.0) == 8
    estimator.ran(1, 8, 30.0, warm=True)
    assert estimator.batch(1, 50, 60.0) == 4
    assert "memory seems to be short" in estimator.trials[1].said


def test_policy_asks_it() -> None:
    """We expect the policy to be content with its answers."""
    made = decide([Waiting(A, 1, 2, 50, 0.0)], Gpu(), an_estimator(), BALANCED, 10.0)
    assert made
    assert (made.load_s, made.items) == (9.0, 8)
