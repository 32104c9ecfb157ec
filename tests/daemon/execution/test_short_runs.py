"""Short runs share a commit once it is sure that they are short, and no more of them than fit in a moment."""

import pytest

from stoker_daemon.execution.short_runs import MAX_AT_ONCE, MOMENT_S, SHORT_S, SURELY_SHORT, ShortRuns


def surely_short() -> ShortRuns:
    """After so many that were."""
    runs = ShortRuns()
    for _ in range(SURELY_SHORT):
        runs.ended(SHORT_S / 2, well=True)
    return runs


def test_one_by_one_until_it_is_sure() -> None:
    """We expect runs to be claimed alone until many in a row were short."""
    runs = ShortRuns()
    runs.worked_off(1, 0.0001)
    for _ in range(SURELY_SHORT):
        assert not runs.are_sure
        assert runs.at_once == 1
        runs.ended(SHORT_S / 2, well=True)
    assert runs.are_sure
    assert runs.at_once > 1


@pytest.mark.parametrize(("seconds", "well"), [(SHORT_S, True), (0.0, False)])
def test_one_that_is_not_short_or_goes_wrong(seconds: float, well: bool) -> None:
    """We expect it to be followed by runs that are claimed alone."""
    runs = surely_short()
    runs.worked_off(1, 0.0001)
    runs.ended(seconds, well=well)
    assert not runs.are_sure
    assert runs.at_once == 1


@pytest.mark.parametrize(
    ("each_s", "expected"), [(1e-9, MAX_AT_ONCE), (MOMENT_S / 20, 10), (MOMENT_S, 1), (10 * MOMENT_S, 1)]
)
def test_as_many_as_fit(each_s: float, expected: int) -> None:
    """We expect so many that they should be over in half a moment, by what the last ones took in all."""
    runs = surely_short()
    runs.worked_off(4, 4 * each_s)
    assert runs.at_once == expected
