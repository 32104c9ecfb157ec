"""The lifecycle tables: every pair of state and cause, and every job state that counts can lead to."""

from collections import Counter
from collections.abc import Collection, Iterator
from itertools import chain, combinations, product
from typing import NamedTuple

import pytest

from stoker_daemon.jobs.lifecycle import ITEM_MOVES, JOB_MOVES, Cause, IllegalMove, job_state, move_item
from stoker_protocol.jobs import FINAL_ITEM_STATES, FINAL_JOB_STATES, ItemCounts, ItemState, JobState

LEGAL = {
    ("pending", "claim"): "running",
    ("pending", "cancel"): "cancelled",
    ("pending", "fail"): "failed",
    ("running", "succeed"): "succeeded",
    ("running", "fail"): "failed",
    ("running", "reject"): "rejected",
    ("running", "skip"): "skipped",
    ("running", "requeue"): "pending",
    ("running", "cancel"): "cancelled",
    ("failed", "retry"): "pending",
    ("rejected", "retry"): "pending",
    ("cancelled", "retry"): "pending",
    ("skipped", "retry"): "pending",
}


@pytest.mark.parametrize(("state", "cause"), list(product(ItemState, Cause)))
def test_item_moves(state: ItemState, cause: Cause) -> None:
    """An item moves as the list above says, and any other cause is an error that names state and cause."""
    if (state, cause) in LEGAL:
        assert move_item(state, cause) == LEGAL[state, cause]
    else:
        with pytest.raises(IllegalMove, match=f"an item that is {state} can't {cause}"):
            move_item(state, cause)


def test_tables_know_every_state() -> None:
    """Both tables have a row for each state, and nothing but a retry leads out of a final one."""
    assert set(ITEM_MOVES) == set(ItemState)
    assert set(JOB_MOVES) == set(JobState)
    assert all(set(ITEM_MOVES[state]) <= {Cause.RETRY} for state in FINAL_ITEM_STATES)
    assert all(JOB_MOVES[state] <= {JobState.QUEUED, JobState.RUNNING} for state in FINAL_JOB_STATES)


@pytest.mark.parametrize("states", list(product(ItemState, repeat=3)), ids="-".join)
def test_job_state_follows_from_the_items(states: tuple[ItemState, ...]) -> None:
    """A job is final exactly when all its items are, and then one cancelled item weighs more than failed ones."""
    before = JobState.RUNNING
    if set(states) == {ItemState.PENDING}:
        before = expected = JobState.QUEUED
    elif not set(states) <= FINAL_ITEM_STATES:
        expected = JobState.RUNNING
    elif ItemState.CANCELLED in states:
        expected = JobState.CANCELLED
    elif ItemState.FAILED in states:
        expected = JobState.FAILED
    else:
        expected = JobState.SUCCEEDED
    assert job_state(count(states), before) is expected


def test_a_started_job_does_not_look_queued_again() -> None:
    """A job whose only item goes back to the queue after a failed attempt stays running."""
    assert job_state(count((ItemState.PENDING,)), JobState.RUNNING) is JobState.RUNNING


def test_a_job_stays_cancelling_until_its_last_item_lets_go() -> None:
    """A job that is being cancelled says so while anything runs, and then what its items came to."""
    running, cancelled, done = ItemState.RUNNING, ItemState.CANCELLED, ItemState.SUCCEEDED
    assert job_state(count((running, cancelled)), JobState.CANCELLING) is JobState.CANCELLING
    assert job_state(count((done, cancelled)), JobState.CANCELLING) is JobState.CANCELLED
    assert job_state(count((done, done)), JobState.CANCELLING) is JobState.SUCCEEDED


def test_an_impossible_way_is_an_error() -> None:
    """A job can't become what the table doesn't know: nothing queued has succeeded without running."""
    with pytest.raises(IllegalMove, match="a job that is queued can't become succeeded"):
        job_state(count((ItemState.SUCCEEDED,)), JobState.QUEUED)


class Situation(NamedTuple):
    """A small job in the search below."""

    items: tuple[ItemState, ...]
    job: JobState


@pytest.mark.parametrize("size", [1, 2, 3])
def test_no_legal_item_moves_lead_a_job_astray(size: int) -> None:
    """Whatever claims, outcomes, cancels and retries do to a job's items, its state always has a legal way on."""
    first = Situation((ItemState.PENDING,) * size, JobState.QUEUED)
    seen, frontier = {first}, [first]
    while frontier:
        news = set(chain.from_iterable(map(next_situations, frontier))) - seen
        seen |= news
        frontier = list(news)
    assert {situation.job for situation in seen} == set(JobState) - {JobState.WAITING}


def next_situations(now: Situation) -> Iterator[Situation]:
    """All that one transaction can make of a job: one cause for a set of its items, or a cancel of the whole."""
    for cause in set(Cause) - {Cause.CANCEL}:
        is_new_work = cause in (Cause.CLAIM, Cause.REQUEUE, Cause.RETRY)
        if not (now.job is JobState.CANCELLING and is_new_work):
            able = [index for index, state in enumerate(now.items) if cause in ITEM_MOVES[state]]
            for chosen in chain.from_iterable(combinations(able, n) for n in range(1, len(able) + 1)):
                yield moved(now, chosen, cause, now.job)
    if not now.job.is_final:
        waiting = [index for index, state in enumerate(now.items) if state is ItemState.PENDING]
        running = [index for index, state in enumerate(now.items) if state is ItemState.RUNNING]
        yield moved(now, waiting, Cause.CANCEL, JobState.CANCELLING if running else now.job)
        if running:
            yield moved(now, running, Cause.CANCEL, JobState.CANCELLING)


def moved(now: Situation, chosen: Collection[int], cause: Cause, job: JobState) -> Situation:
    """The situation after one cause moved the chosen items."""
    items = tuple(move_item(s, cause) if i in chosen else s for i, s in enumerate(now.items))
    return Situation(items, job_state(count(items), job))


def count(states: tuple[ItemState, ...]) -> ItemCounts:
    """Items of these states as a job counts them."""
    return ItemCounts(total=len(states), **Counter(state.value for state in states))
