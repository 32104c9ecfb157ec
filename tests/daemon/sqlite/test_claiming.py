"""A claim takes the first items that may share a run, of the head that the policy chose, and commits a run."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest
from tests.daemon.sqlite.queues import NO_LIMIT, START_MS, Queue, an_order

from stoker_daemon.jobs.lifecycle import IllegalMove
from stoker_daemon.jobs.records import Choice, Head, Result, Run
from stoker_daemon.sqlite import accepting, claiming, controlling, recovering
from stoker_daemon.sqlite.turns import keep_by_client
from stoker_protocol.jobs import Failure, ItemState, OnInterrupt, Pause
from stoker_protocol.requests import Append, ItemSpec

PENDING = ItemState.PENDING
FAILURE = Failure("timeout", "late")


@pytest.fixture
def queue(tmp_path: Path) -> Queue:
    """An empty queue."""
    return Queue(tmp_path)


def _indexes(run: Run | None) -> list[int]:
    assert run is not None
    return [member.index for member in run.members]


def _again(run: Run | None, delay_s: float = 0, *, alone: bool = False) -> list[Result]:
    assert run is not None
    return [Result(m.position, PENDING, FAILURE, delay_s=delay_s, alone=alone) for m in run.members]


def _cost_of_a_claim(queue: Queue) -> int:
    """The instructions that SQLite takes for it."""
    instructions = count()
    queue.connection.set_progress_handler(lambda: next(instructions) < 0, 1)  # a true value would interrupt it
    assert queue.claim() is not None
    queue.connection.set_progress_handler(None, 0)
    return next(instructions)


def test_nothing_to_claim(queue: Queue) -> None:
    """We expect no run and no row of an empty queue, a paused one, or one of other engines."""
    assert queue.claim() is None
    queue.accept("job", 2)
    assert queue.claim(engines=("other",)) is None
    queue.write(lambda tx: controlling.pause_queue(tx, Pause("", "", 0), interrupt=False))
    assert queue.claim() is None
    queue.write(lambda tx: controlling.resume_queue(tx, "tests"))
    queue.write(lambda tx: controlling.pause_job(tx, "job", Pause("", "", 0), interrupt=False))
    assert queue.claim() is None
    assert queue.one("SELECT count(*) FROM runs") == 0


def test_claimed_run_is_whole(queue: Queue) -> None:
    """We expect members in order with their parameters, limits of the job or the lane, and the job as it is then."""
    queue.accept("job", 3, timeout_s=7.0, max_attempts=5)
    run = queue.claim(max_batch=2)
    assert run is not None
    assert (run.run_id, run.lane, run.signature.residency) == ("run-1", "gpu", "one")
    assert [(m.position, m.index, m.attempt, m.params) for m in run.members] == [
        (0, 0, 1, {"prompt": "job 0"}),
        (1, 1, 1, {"prompt": "job 1"}),
    ]
    assert (run.limits.timeout_s, run.limits.no_progress_s, run.members[0].max_attempts) == (7, 30, 5)
    (job,) = run.jobs
    assert (job.items.pending, job.items.running) == (1, 2)
    assert queue.all("SELECT position, idx, outcome FROM attempts ORDER BY position") == [(0, 0, None), (1, 1, None)]


def test_one_job_after_the_other(queue: Queue) -> None:
    """We expect the first job's items before the second's of the same model, however small the batches."""
    queue.accept("first", 3)
    queue.accept("second", 2)
    runs = [queue.claim(max_batch=2) for _ in range(4)]
    assert [(run.members[0].job_id, _indexes(run)) for run in runs if run] == [
        ("first", [0, 1]),
        ("first", [2, 0]),
        ("second", [1]),
    ]


def test_claim_from_a_job_that_is_nearly_done(queue: Queue) -> None:
    """We expect a claim to cost the database no more when thousands of items of its job are done."""
    queue.accept("job", 3_002)
    at_first = _cost_of_a_claim(queue)
    run = queue.claim(max_batch=3_000)
    assert run is not None
    queue.record(run)
    assert _cost_of_a_claim(queue) <= at_first + 100


def test_items_told_apart_run_alone(queue: Queue) -> None:
    """We expect an item that is to run alone to share no run, and those before and after it to share theirs."""
    queue.accept("job", 5)
    first = queue.claim(max_batch=5)
    assert first is not None
    results = [Result(position, PENDING, FAILURE, alone=position in (0, 3)) for position in range(5)]
    queue.record(first, *results)
    assert [_indexes(queue.claim(max_batch=5)) for _ in range(4)] == [[0], [1, 2], [3], [4]]


def test_back_off(queue: Queue) -> None:
    """We expect an item to wait until its time has come, then to be claimed in its place, and others meanwhile."""
    queue.accept("job", 3)
    run = queue.claim()
    assert run is not None
    queue.record(run, *_again(run, delay_s=5))
    assert queue.one("SELECT ready FROM heads") == 2
    assert _indexes(queue.claim()) == [1]
    queue.clock.ms += 4_999
    assert _indexes(queue.claim()) == [2]
    assert queue.claim() is None
    queue.clock.ms += 1
    assert _indexes(queue.claim()) == [0]


def test_clock_that_was_set_back(queue: Queue) -> None:
    """We expect no item to wait longer than the longest back-off, whatever the clock says now."""
    queue.accept("job", 1)
    run = queue.claim()
    assert run is not None
    queue.record(run, *_again(run, delay_s=5))
    queue.clock.ms -= 365 * 86_400_000
    assert _indexes(queue.claim()) == [0]


def test_many_back_offs_end_step_by_step(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    """We expect a bounded number of items to be made ready in one transaction, the first ones first."""
    monkeypatch.setattr(claiming, "MAX_DUE", 2)
    queue.accept("job", 5)
    run = queue.claim(max_batch=5)
    assert run is not None
    queue.record(run, *_again(run, delay_s=5))
    queue.clock.ms += 5_000
    order = an_order(max_batch=1)
    queue.write(lambda tx: claiming.end_back_off(tx, order.max_delay_s))
    assert queue.one("SELECT ready FROM heads") == 2
    assert [_indexes(queue.claim()) for _ in range(5)] == [[0], [1], [2], [3], [4]]


@pytest.mark.parametrize("broken", ["twice", "missing", "double", "stranger"])
def test_record_that_makes_no_sense(queue: Queue, broken: str) -> None:
    """We expect a run to be recorded once, with one result for each of its members, or nothing to change."""
    queue.accept("job", 2)
    run = queue.claim(max_batch=2)
    assert run is not None
    good = _again(run)
    results = {"missing": good[:1], "double": [good[0], good[0]], "stranger": [good[0], Result(7, PENDING)]}
    if broken == "twice":
        queue.record(run, *good)
    before = list(queue.connection.iterdump())
    with pytest.raises(IllegalMove):
        queue.record(run, *results.get(broken, good))
    assert list(queue.connection.iterdump()) == before


def _parts(run: Run | None) -> list[tuple[str, int]]:
    assert run is not None
    return [(member.job_id, member.index) for member in run.members]


def test_a_run_over_several_jobs(queue: Queue) -> None:
    """We expect items job by job, and the strictest limits of all, while each item keeps its own attempts."""
    queue.accept("patient", 1, timeout_s=50.0, max_attempts=7)
    queue.accept("hasty", 1, timeout_s=5.0, no_progress_s=3.0, max_attempts=2, on_interrupt=OnInterrupt.ASK)
    queue.accept("usual", 1)
    run = queue.claim(max_batch=8)
    assert run is not None
    assert _parts(run) == [("patient", 0), ("hasty", 0), ("usual", 0)]
    assert [member.position for member in run.members] == [0, 1, 2]
    assert (run.limits.timeout_s, run.limits.no_progress_s, run.may_wait) == (5, 3, False)
    assert [member.max_attempts for member in run.members] == [7, 2, 3]
    assert [job.job_id for job in run.jobs] == ["patient", "hasty", "usual"]


def test_no_job_shares_a_run_that_is_larger_than_it_allows(queue: Queue) -> None:
    """We expect no run with more items than any job in it allows, whoever comes first."""
    queue.accept("first", 2)
    queue.accept("small", 3, batch_size=3)
    queue.accept("single", 2, batch_size=1)
    queue.accept("last", 1)
    runs = [_parts(queue.claim(max_batch=8)) for _ in range(5)]
    assert runs == [
        [("first", 0), ("first", 1), ("small", 0)],
        [("small", 1), ("small", 2)],
        [("single", 0)],
        [("single", 1)],
        [("last", 0)],
    ]


def test_one_job_only(queue: Queue) -> None:
    """We expect no item of another job where the choice says so."""
    queue.accept("first", 1)
    queue.accept("second", 1)
    order = an_order(max_batch=8)

    def choose(heads: Sequence[Head], run_id: str, now_ms: int) -> Choice | None:
        chosen = order.choose(heads, run_id, now_ms)
        return chosen and replace(chosen, one_job=True)

    run = queue.write(lambda tx: claiming.claim(tx, replace(order, choose=choose), "run"))
    assert _parts(run) == [("first", 0)]


def test_several_runs_of_one_choice(queue: Queue) -> None:
    """We expect one choice for all runs of a claim, who chose to hear of each, and one that may not wait to be last."""
    queue.accept("long", 3)
    queue.accept("short", 1)
    queue.accept("careful", 2, on_interrupt=OnInterrupt.ASK)
    alike: list[tuple[str, str]] = []
    chosen: list[str] = []
    order = an_order(max_batch=2)

    def choose(heads: Sequence[Head], run_id: str, now_ms: int) -> Choice | None:
        chosen.append(run_id)
        return order.choose(heads, run_id, now_ms)

    def choose_alike(run_id: str, first: str) -> None:
        alike.append((run_id, first))

    some = replace(order, choose=choose, at_once=8, choose_alike=choose_alike)
    numbers = count(1)
    runs = queue.write(lambda tx: claiming.claim_some(tx, some, lambda: f"run-{next(numbers)}"))
    assert [_parts(run) for run in runs] == [[("long", 0), ("long", 1)], [("long", 2), ("short", 0)]]
    assert (chosen, alike) == (["run-1"], [("run-2", "run-1")])
    assert [[job.items.running for job in run.jobs] for run in runs] == [[2], [3, 1]]
    assert queue.all("SELECT job_id, running FROM jobs ORDER BY job_key") == [("long", 3), ("short", 1), ("careful", 0)]
    assert queue.one("SELECT ready FROM heads") == 2


def test_since_when_a_head_waits(queue: Queue) -> None:
    """We expect the time of the first job that is left, without its own pauses."""
    said = "SELECT came_ms FROM heads"
    queue.accept("first", 1)
    queue.clock.ms += 1_000
    queue.accept("second", 2)
    assert queue.one(said) == START_MS
    run = queue.claim()
    assert run is not None
    assert queue.one(said) == START_MS + 1_000
    queue.write(lambda tx: controlling.pause_job(tx, "second", Pause("", "", tx.now_ms), interrupt=False))
    queue.clock.ms += 60_000
    queue.write(lambda tx: controlling.resume_job(tx, "second", "tests"))
    assert queue.one(said) == START_MS + 61_000
    queue.record(run, *_again(run))
    assert queue.one(said) == START_MS


def test_since_when_what_is_appended_waits(queue: Queue) -> None:
    """We expect an open job to wait for as long as its first item that is left does."""
    queue.accept("open", 1, more=True)
    for at in (1, 2):
        queue.clock.ms += 1_000
        request = Append(id="1", job_id="open", at=at, items=[ItemSpec()])
        queue.write(lambda tx, request=request: accepting.append(tx, request, NO_LIMIT))
    assert [queue.claim() and queue.all("SELECT came_ms FROM heads") for _ in range(3)] == [
        [(START_MS + 1_000,)],
        [(START_MS + 2_000,)],
        [],
    ]


def test_a_job_at_its_bound_waits(queue: Queue) -> None:
    """We expect no more items of a job at work than it allows, the next job's meanwhile, and more when a run ends."""
    queue.accept("bound", 5, max_concurrency=2)
    queue.accept("free", 1)
    first = queue.claim(max_batch=1)
    second = queue.claim(max_batch=1)
    assert (_indexes(first), _indexes(second)) == ([0], [1])
    assert queue.all("SELECT ready, oldest FROM heads") == [(1, 2)]
    third = queue.claim(max_batch=8)
    assert third is not None
    assert [member.job_id for member in third.members] == ["free"]
    assert queue.claim(max_batch=8) is None
    assert not queue.all("SELECT * FROM heads")
    assert first is not None
    queue.record(first)
    assert queue.last is not None
    assert queue.last.has_work  # lanes that found nothing have to look again
    assert queue.all("SELECT ready, oldest FROM heads") == [(1, 1)]
    assert _indexes(queue.claim(max_batch=8)) == [2]


def test_a_run_takes_no_more_of_a_job_than_that_allows(queue: Queue) -> None:
    """We expect a run that two jobs share to have no more of the first than may be at work at once."""
    queue.accept("bound", 5, max_concurrency=2)
    queue.accept("free", 3)
    run = queue.claim(max_batch=4)
    assert run is not None
    assert [(member.job_id, member.index) for member in run.members] == [
        ("bound", 0),
        ("bound", 1),
        ("free", 0),
        ("free", 1),
    ]


def test_a_bound_outlasts_the_daemon(queue: Queue) -> None:
    """We expect a job whose runs were cut short to have as many items at work as it allows, and no more."""
    queue.accept("bound", 5, max_concurrency=2)
    assert _indexes(queue.claim(max_batch=8)) == [0, 1]
    for run in recovering.read_interrupted(queue.connection):
        queue.write(lambda tx, run=run: recovering.hand_back(tx, run))
    assert _indexes(queue.claim(max_batch=8)) == [0, 1]
    assert queue.claim(max_batch=8) is None


def test_what_fails_for_now_makes_room(queue: Queue) -> None:
    """We expect an item that is to be tried again later to count as none at work until it is."""
    queue.accept("bound", 3, max_concurrency=1)
    run = queue.claim()
    assert run is not None
    queue.record(run, *_again(run, delay_s=5))
    assert _indexes(queue.claim()) == [1]
    queue.clock.ms += 6000
    assert queue.claim() is None


def test_runs_claimed_together_keep_to_a_bound(queue: Queue) -> None:
    """We expect short runs that are claimed at once to take no more items of a job than may be at work."""
    queue.accept("bound", 5, max_concurrency=2)
    order = replace(an_order(), at_once=8)
    runs = queue.write(lambda tx: claiming.claim_some(tx, order, map("run-{}".format, count(1)).__next__))
    assert [_indexes(run) for run in runs] == [[0], [1]]
    assert queue.claim() is None


def test_turns_of_clients(queue: Queue) -> None:
    """We expect the queue kept by client to be gathered when that begins and when it ends, and claims to go by it."""
    queue.accept("first", 3, client="ann")
    queue.accept("second", 2, client="bob")
    queue.accept("third", 1, client="ann")
    whole = [("", 6)]
    assert queue.all("SELECT client, ready FROM heads") == whole
    keep_by_client(queue.connection, by_client=True)
    assert queue.all("SELECT client, ready FROM heads") == [("ann", 4), ("bob", 2)]
    queue.accept("fourth", 1, client="bob")
    assert queue.all("SELECT client, ready FROM heads") == [("ann", 4), ("bob", 3)]

    def choose(heads: Sequence[Head], _run_id: str, _now_ms: int) -> Choice:
        ann, bob = heads
        return Choice(((bob, 3), (ann, 4)))

    order = replace(an_order(), choose=choose)
    run = queue.write(lambda tx: claiming.claim(tx, order, "run"))
    assert run
    assert [member.job_id for member in run.members] == ["second"] * 2 + ["fourth"] + ["first"] * 3 + ["third"]
    keep_by_client(queue.connection, by_client=False)
    queue.record(run, *_again(run))
    assert queue.all("SELECT client, ready FROM heads") == [("", 7)]
    assert [queue.one("SELECT count(DISTINCT client) FROM lots"), queue.one("SELECT by_client FROM totals")] == [1, 0]
