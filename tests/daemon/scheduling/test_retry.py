"""What becomes of an item that failed, kind by kind, and how long it waits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stoker_daemon.jobs.records import Member, Result
from stoker_daemon.scheduling.retry import RetryPolicy, judge
from stoker_protocol.errors import KINDS, FailureKind, RetryClass
from stoker_protocol.jobs import Failure, ItemState

POLICY = RetryPolicy(base_s=1, factor=2, max_s=60, crash_limit=3)
K = FailureKind
PENDING, FAILED = ItemState.PENDING, ItemState.FAILED


def a_member(attempt: int = 1, crashes: int = 0) -> Member:
    """An item at its n-th attempt, some of which killed their engine."""
    return Member(5, 1, "job", 0, None, attempt, crashes, 0, {}, max_attempts=3)


def judged(kind: FailureKind, attempt: int = 1, crashes: int = 0, *, shared: bool = False) -> Result:
    """What becomes of it with three attempts allowed, in the middle of the spread."""
    member = a_member(attempt, crashes)
    return judge(member, kind, "why", shared=shared, policy=POLICY, dice=0.5)


def test_every_kind_has_its_class() -> None:
    """We expect no kind of failure without a class."""
    assert set(KINDS) == set(FailureKind)


@pytest.mark.parametrize("kind", FailureKind)
@pytest.mark.parametrize("shared", [False, True])
def test_first_failure(kind: FailureKind, *, shared: bool) -> None:
    """We expect the end, another time at a charge, alone at none, or again at none, by the class of the kind."""
    result = judged(kind, shared=shared)
    assert (result.position, result.error) == (5, Failure(kind.value, "why"))
    assert result.crashed == (kind is K.CRASH and not shared)
    match KINDS[kind]:
        case RetryClass.NEVER:
            assert (result.state, result.charged) == (FAILED, True)
        case RetryClass.FREE:
            assert (result.state, result.charged, result.alone) == (PENDING, False, False)
            assert result.delay_s > 0
        case RetryClass.BACKOFF:
            assert (result.state, result.charged, result.alone) == (PENDING, True, False)
            assert result.delay_s == 0.75
        case RetryClass.ALONE if shared:
            assert (result.state, result.charged, result.alone, result.delay_s) == (PENDING, False, True, 0)
        case RetryClass.ALONE:
            assert (result.state, result.charged, result.alone, result.delay_s) == (PENDING, True, True, 0.75)


@pytest.mark.parametrize("kind", [kind for kind in FailureKind if KINDS[kind] is not RetryClass.FREE])
def test_last_attempt(kind: FailureKind) -> None:
    """We expect the third failure to be the last of three attempts, whatever its kind."""
    assert judged(kind, attempt=3).state is FAILED


@pytest.mark.parametrize(
    ("attempt", "crashes", "state"), [(1, 0, PENDING), (2, 1, PENDING), (3, 2, FAILED), (2, 2, FAILED), (3, 0, FAILED)]
)
def test_crashes_are_counted(attempt: int, crashes: int, state: ItemState) -> None:
    """We expect an item to be failed at its third crash, or when its attempts are spent before that."""
    result = judged(K.CRASH, attempt, crashes)
    assert (result.state, result.crashed) == (state, True)


def test_other_failures_do_not_end_at_the_crash_limit() -> None:
    """We expect crashes of earlier attempts to count only when it crashes again."""
    assert judged(K.TIMEOUT, attempt=2, crashes=2).state is PENDING


@pytest.mark.parametrize(
    ("attempt", "dice", "expected"), [(1, 0, 0.5), (1, 1, 1), (2, 0, 1), (3, 0.5, 3), (7, 1, 60), (5_000, 0, 30)]
)
def test_delay(attempt: int, dice: float, expected: float) -> None:
    """We expect delays that double up to a limit, spread over the upper half of each."""
    assert POLICY.delay_s(attempt, dice) == expected


@given(
    attempt=st.integers(1, 10_000),
    dice=st.floats(0, 1, exclude_max=True),
    base_s=st.floats(0.001, 100),
    factor=st.floats(1, 100),
    max_s=st.floats(0.001, 10_000),
)
def test_delay_is_bounded(attempt: int, dice: float, base_s: float, factor: float, max_s: float) -> None:
    """We expect a wait, never longer than the limit, and never shorter than half of what was waited before."""
    policy = RetryPolicy(base_s, factor, max_s)
    assert 0 < policy.delay_s(attempt, dice) <= max_s
    assert policy.delay_s(attempt + 1, 0) >= policy.delay_s(attempt, 0)
