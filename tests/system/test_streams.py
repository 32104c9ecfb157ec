"""Jobs that come in pieces: appended by position, sealed, held back when nobody feeds them, moved ahead."""

from pathlib import Path

import pytest
from msgspec import structs
from tests.system.daemons import Rig, a_rig, config
from tests.worker.processes import wait_for

from stoker_client.errors import Conflict, InvalidState, QueueFull
from stoker_protocol.events import JobAppended, JobMoved, JobSealed
from stoker_protocol.jobs import ItemCounts, JobState
from stoker_protocol.replies import Moved
from stoker_protocol.requests import Move


def test_append_again_is_the_same_at_each_position(rig: Rig) -> None:
    """We expect each append that comes again, whenever, to be answered as before or with more, and to add nothing."""
    job_id = held_open_job(rig)
    parts = [(1, ["1", "2"]), (3, ["3"]), (4, ["4", "5", "6"])]
    for at, items in parts:
        totals = [rig.client.append(job_id, at, items).total for _ in range(2)]
        assert totals == [at + len(items)] * 2
    assert [rig.client.append(job_id, at, items).total for at, items in parts] == [7, 7, 7]
    rig.client.seal(job_id)
    assert [rig.client.append(job_id, at, items).total for at, items in parts] == [7, 7, 7]
    assert len(rig.events(JobAppended)) == 3
    rig.client.resume()
    assert rig.wait(job_id).items == ItemCounts(total=7, succeeded=7)
    assert rig.executed() == list("0123456")


@pytest.mark.parametrize(
    ("at", "items"), [(1, ["x", "2"]), (1, ["1", "2", "3"]), (0, ["x"]), (4, ["4"]), (2, ["2", "3"])]
)
def test_other_items_at_a_place_are_a_conflict(rig: Rig, at: int, items: list[str]) -> None:
    """We expect other items where some are, items that overlap the end, and ones after a hole to be refused."""
    job_id = held_open_job(rig)
    rig.client.append(job_id, 1, ["1", "2"])
    with pytest.raises(Conflict) as refused:
        rig.client.append(job_id, at, items)
    assert (refused.value.field, rig.client.job(job_id).items.total) == ("at", 3)


def test_open_job_is_not_final_before_it_is_sealed(rig: Rig) -> None:
    """We expect a job whose items have all ended to wait for more, to run those, and to end when it is sealed."""
    job_id = rig.submit("0", more=True)
    job = rig.wait_until(job_id, lambda job: job.items.succeeded == 1)
    assert (job.state, job.is_open) == (JobState.RUNNING, True)
    rig.client.append(job_id, 1, ["1"])
    assert rig.wait_until(job_id, lambda job: job.items.succeeded == 2).state is JobState.RUNNING
    rig.client.seal(job_id)
    assert rig.client.job(job_id).state is JobState.SUCCEEDED
    rig.client.seal(job_id)
    assert [event.job.state for event in rig.events(JobSealed)] == [JobState.SUCCEEDED]
    with pytest.raises(InvalidState):
        rig.client.append(job_id, 2, ["2"])


@pytest.mark.parametrize("wakes", ["append", "seal", "resume"])
def test_idle_open_job_is_held_back_until_somebody_feeds_it(tmp_path: Path, wakes: str) -> None:
    """We expect an open job that gets no items to be paused with the reason, and to go on as soon as it is fed."""
    with a_rig(tmp_path, config(open_idle_s=0.1)) as rig:
        job_id = rig.submit("0", more=True)
        paused = rig.wait_until(job_id, lambda job: job.paused).paused
        assert paused is not None
        assert paused.author == "stokerd"
        assert paused.reason.startswith("idle: no items were added for long")
        acts = {
            "append": lambda: rig.client.append(job_id, 1, ["1"]),
            "seal": lambda: rig.client.seal(job_id),
            "resume": lambda: rig.client.resume(job_id),
        }
        acts[wakes]()
        assert rig.client.job(job_id).paused is None
        rig.wait_until(job_id, lambda job: job.items.pending == job.items.running == 0)
        rig.client.seal(job_id)
        assert rig.wait(job_id).state is JobState.SUCCEEDED


def test_a_pause_of_a_person_outlives_appends(rig: Rig) -> None:
    """We expect an append to an open job that somebody paused to leave it paused."""
    job_id = held_open_job(rig)
    rig.client.pause(job_id, reason="mine")
    rig.client.append(job_id, 1, ["1"])
    paused = rig.client.job(job_id).paused
    assert paused is not None
    assert paused.reason == "mine"
    rig.client.cancel(job_id)


def test_a_full_queue_takes_no_more_until_some_is_done(tmp_path: Path) -> None:
    """We expect submit and append beyond what may wait to be refused with a time, and taken when there is room."""
    with a_rig(tmp_path, config(max_pending=3)) as rig:
        job_id = held_open_job(rig)
        rig.client.append(job_id, 1, ["1", "2"])
        for act in (lambda: rig.client.append(job_id, 3, ["3"]), lambda: rig.submit("x", job_id="other")):
            with pytest.raises(QueueFull) as refused:
                act()
            assert refused.value.retry_after_s
        assert rig.client.append(job_id, 1, ["1", "2"]).total == 3
        rig.client.resume()
        wait_for(lambda: rig.client.job(job_id).items.succeeded == 3)
        assert rig.client.append(job_id, 3, ["3"]).total == 4
        rig.client.seal(job_id)
        assert rig.wait(job_id).items.succeeded == 4


def test_move_again_does_nothing_more(rig: Rig) -> None:
    """We expect the same move to be answered the same, one of an older state refused, and the order followed."""
    rig.client.pause()
    jobs = {name: rig.submit(name) for name in ("first", "second", "third")}
    asked = Move(id="1", job_id=jobs["third"], rev=0, front=True)
    moved = rig.ask(asked)
    assert isinstance(moved, Moved)
    assert rig.ask(structs.replace(asked)) == moved
    assert rig.client.job(jobs["third"]).rev == moved.rev == 1
    assert getattr(rig.ask(structs.replace(asked, rev=7)), "code", None) == "conflict"
    rig.client.move(jobs["second"], "high")
    assert len(rig.events(JobMoved)) == 2
    rig.client.resume()
    for job_id in jobs.values():
        rig.wait(job_id)
    assert rig.executed() == ["second", "third", "first"]


def held_open_job(rig: Rig) -> str:
    """An open job of one item; nothing runs."""
    rig.client.pause()
    return rig.submit("0", more=True)


def test_open_job_that_is_done_so_far(rig: Rig) -> None:
    """We expect an open job whose items are done to be open, and a cancel to say that it closed it."""
    job_id = rig.submit("a", more=True)
    rig.wait_until(job_id, lambda job: job.items.succeeded == 1)
    first, second = (rig.client.cancel(job_id).jobs[0] for _ in range(2))
    assert (first.closed, first.dropped, first.state) == (True, 0, "succeeded")
    assert (second.closed, second.state) == (False, "succeeded")
