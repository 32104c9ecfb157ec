"""The pure policy: what runs next, what a failure means, and when a job is done."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stoker_daemon.jobs.records import Head, Member, Signature
from stoker_daemon.scheduling.eta import Pace, percent
from stoker_daemon.scheduling.policy import batch_limit, choose
from stoker_daemon.scheduling.retry import RetryPolicy, judge
from stoker_protocol.errors import KINDS, FailureKind, RetryClass
from stoker_protocol.jobs import ItemCounts, ItemState, Priority

heads = st.lists(
    st.builds(
        Head,
        signature_id=st.integers(1, 9),
        signature=st.builds(Signature, st.just("e"), st.sampled_from("ABC"), st.just("")),
        priority=st.sampled_from(Priority),
        ready=st.integers(1, 5),
        oldest=st.integers(1, 99),
    ),
    max_size=8,
)


@given(heads, st.sampled_from(["A", "B", ""]))
def test_choice_is_priority_then_loaded_then_oldest(heads: list[Head], loaded: str) -> None:
    """We expect no higher priority to be passed over, nor within one the loaded model, nor then an older head."""
    chosen = choose(heads, "e", loaded)
    assert (chosen is None) == (not heads)
    if chosen is None:
        return
    for other in heads:
        assert other.priority.rank >= chosen.priority.rank
        if other.priority is chosen.priority and chosen.signature.residency != loaded:
            assert other.signature.residency != loaded
            assert other.oldest >= chosen.oldest


@pytest.mark.parametrize(("engine", "job", "limit"), [(8, 0, 8), (8, 3, 3), (8, 50, 8), (0, 0, 1)])
def test_batch_is_bounded_by_engine_and_job(engine: int, job: int, limit: int) -> None:
    """We expect the smaller of both bounds, no bound of the job's where it has none, and at least one item."""
    assert batch_limit(engine, job) == limit


def _member(attempt: int = 1, crashes: int = 0) -> Member:
    return Member(3, 1, "job", 7, None, attempt, crashes, 0, {})


def _judge(kind: FailureKind, member: Member, *, shared: bool) -> tuple[ItemState, bool, bool]:
    result = judge(member, kind, "why", shared=shared, max_attempts=3, policy=RetryPolicy(), dice=0.5)
    assert result.position == member.position
    assert result.error is not None
    assert (result.error.kind, result.error.message) == (kind.value, "why")
    return result.state, result.charged, result.alone


@pytest.mark.parametrize("kind", FailureKind)
def test_members_of_a_failed_batch_pay_only_for_what_is_their_own(kind: FailureKind) -> None:
    """We expect each kind to be tried again alone and free, later and charged, free, or never, as its class says."""
    expected = {
        RetryClass.ALONE: (ItemState.PENDING, False, True),
        RetryClass.BACKOFF: (ItemState.PENDING, True, False),
        RetryClass.FREE: (ItemState.PENDING, False, False),
        RetryClass.NEVER: (ItemState.FAILED, True, False),
    }
    assert _judge(kind, _member(), shared=True) == expected[KINDS[kind]]


@pytest.mark.parametrize("kind", [k for k in FailureKind if KINDS[k] in (RetryClass.ALONE, RetryClass.BACKOFF)])
def test_attempts_end(kind: FailureKind) -> None:
    """We expect the last attempt of a single item to be its end, and the third own crash whatever attempts are left."""
    assert _judge(kind, _member(attempt=2), shared=False)[0] is ItemState.PENDING
    assert _judge(kind, _member(attempt=3), shared=False)[0] is ItemState.FAILED
    after_two_crashes = _judge(kind, _member(attempt=1, crashes=2), shared=False)[0]
    assert after_two_crashes is (ItemState.FAILED if kind is FailureKind.CRASH else ItemState.PENDING)


@given(st.integers(1, 60), st.floats(0, 1, exclude_max=True))
def test_back_off_grows_within_its_bounds(attempt: int, dice: float) -> None:
    """We expect each delay between half its step and its step, and never more than the longest."""
    policy = RetryPolicy(base_s=1.0, factor=2.0, max_s=300.0)
    step = min(300.0, 2.0 ** (attempt - 1))
    assert step / 2 <= policy.delay_s(attempt, dice) <= step


def test_pace_of_a_job() -> None:
    """We expect the rate of the runs so far, and an estimate that grows with what is left and with its uncertainty."""
    pace = Pace()
    assert (pace.items_per_s(), pace.eta(10)) == (None, None)
    pace.note(2.0, 4)
    assert pace.items_per_s() == 2.0
    steady = pace.eta(10)
    assert steady is not None
    assert (steady.p50, steady.p90) == (5.0, 5.0)
    pace.note(6.0, 4)
    uneven = pace.eta(10)
    assert uneven is not None
    assert (uneven.p50, uneven.p90 > uneven.p50) == (10.0, True)


def test_percent_counts_running_items_by_their_fraction() -> None:
    """We expect finished items whole, running ones in part, and nothing of an empty job."""
    counts = ItemCounts(total=10, pending=4, running=2, succeeded=3, failed=1)
    assert percent(counts, 2, 0.5) == 50.0
    assert percent(ItemCounts(), 0, 1.0) == 0.0
