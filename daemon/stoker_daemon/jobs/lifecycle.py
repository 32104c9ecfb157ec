"""Which state may follow which, as two tables: a missing pair is an error."""

from enum import StrEnum

from stoker_protocol.jobs import ItemCounts, ItemState, JobState


class Cause(StrEnum):
    """What moves an item."""

    CLAIM = "claim"
    SUCCEED = "succeed"
    FAIL = "fail"
    REJECT = "reject"
    SKIP = "skip"
    REQUEUE = "requeue"
    CANCEL = "cancel"
    RETRY = "retry"


class IllegalMove(Exception):
    """A state was to change in a way that the tables don't know: a bug, never a user's fault."""


_S = ItemState
ITEM_MOVES: dict[ItemState, dict[Cause, ItemState]] = {
    _S.PENDING: {Cause.CLAIM: _S.RUNNING, Cause.CANCEL: _S.CANCELLED, Cause.FAIL: _S.FAILED},
    _S.RUNNING: {
        Cause.SUCCEED: _S.SUCCEEDED,
        Cause.FAIL: _S.FAILED,
        Cause.REJECT: _S.REJECTED,
        Cause.SKIP: _S.SKIPPED,
        Cause.REQUEUE: _S.PENDING,
        Cause.CANCEL: _S.CANCELLED,
    },
    _S.FAILED: {Cause.RETRY: _S.PENDING},
    _S.REJECTED: {Cause.RETRY: _S.PENDING},
    _S.CANCELLED: {Cause.RETRY: _S.PENDING},
    _S.SKIPPED: {Cause.RETRY: _S.PENDING},
    _S.SUCCEEDED: {},
}

_J = JobState
JOB_MOVES: dict[JobState, frozenset[JobState]] = {
    _J.WAITING: frozenset({_J.QUEUED, _J.CANCELLED}),
    _J.QUEUED: frozenset({_J.RUNNING, _J.CANCELLING, _J.CANCELLED, _J.FAILED}),
    _J.RUNNING: frozenset({_J.CANCELLING, _J.CANCELLED, _J.SUCCEEDED, _J.FAILED}),
    _J.CANCELLING: frozenset({_J.CANCELLED, _J.SUCCEEDED, _J.FAILED}),
    _J.SUCCEEDED: frozenset({_J.QUEUED, _J.RUNNING}),
    _J.FAILED: frozenset({_J.QUEUED, _J.RUNNING}),
    _J.CANCELLED: frozenset({_J.QUEUED, _J.RUNNING}),
}


def move_item(state: ItemState, cause: Cause) -> ItemState:
    """The state that follows.

    Raises:
        IllegalMove: That cause can't move an item in that state.
    """
    after = ITEM_MOVES[state].get(cause)
    if after is None:
        raise IllegalMove(f"an item that is {state} can't {cause}")
    return after


def job_state(counts: ItemCounts, before: JobState, *, is_open: bool = False) -> JobState:
    """The state of a job whose items have these counts; one that is open can't be over.

    Raises:
        IllegalMove: The tables don't know the way from `before`.
    """
    after = _derive(counts, before, is_open=is_open)
    if after is not before and after not in JOB_MOVES[before]:
        raise IllegalMove(f"a job that is {before} can't become {after}")
    return after


def _derive(counts: ItemCounts, before: JobState, *, is_open: bool) -> JobState:
    if counts.pending or counts.running or is_open:
        if before is JobState.CANCELLING:
            return JobState.CANCELLING
        has_begun = counts.running or counts.finished or before is JobState.RUNNING
        return JobState.RUNNING if has_begun else JobState.QUEUED
    if counts.cancelled:
        return JobState.CANCELLED
    return JobState.FAILED if counts.failed else JobState.SUCCEEDED
