"""A watch survives what befalls networks and daemons: it tells every lifecycle event once, or that some are gone."""

import random

import pytest
from msgspec import structs
from tests.clients.both import Connect, both
from tests.clients.watching import kinds, seqs, take
from tests.fakes.daemon import FakeDaemon

from stoker_client.errors import NotFound
from stoker_client.operations import watching
from stoker_protocol.errors import ErrorCode, Refused


@pytest.fixture
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A watch that takes some missed ticks for silence, and does not rest between tries."""
    monkeypatch.setattr(watching, "SILENCE_S", 0.3)
    monkeypatch.setattr(watching, "RETRY_S", 0.01)


@both
@pytest.mark.parametrize("job_ids", [["a"], ["a", "b"], None])
def test_a_lost_event_in_the_middle(daemon: FakeDaemon, connect: Connect, job_ids: list[str] | None) -> None:
    """Events that were lost are seen to be missing by the next one, asked for in pages, and told in order."""
    daemon.add_job("a")
    daemon.add_job("b")
    with connect(daemon.control) as client:
        watch = client.watch(job_ids)
        begin = [next(watch) for _ in job_ids or "ab"]
        daemon.drop_events(7)
        for _ in range(7):
            daemon.start_run("a")
        daemon.finish("a")
        assert seqs([*begin, *take(watch, 8)]) == list(range(3, 11))


@both
@pytest.mark.parametrize("job_ids", [["a"], ["a", "b"]])
def test_a_lost_last_event(daemon: FakeDaemon, connect: Connect, job_ids: list[str]) -> None:
    """The loss of the last event of all is seen by ticks."""
    daemon.add_job("a")
    daemon.add_job("b")
    daemon.finish("b")
    with connect(daemon.control) as client:
        watch = client.watch(job_ids)
        for _ in job_ids:
            next(watch)
        daemon.drop_events()
        daemon.finish("a")
        assert kinds(watch) == ["run_finished"]


@both
def test_a_busy_neighbour_hides_no_loss(daemon: FakeDaemon, connect: Connect) -> None:
    """The last event of a job is found to be lost though events of another job go on."""
    daemon.add_job("a")
    daemon.add_job("b")
    with connect(daemon.control) as client:
        watch = client.watch()
        begin = [next(watch), next(watch)]
        assert kinds(begin) == ["a queued", "b queued"]
        daemon.drop_events()
        daemon.finish("a")
        daemon.start_run("b")
        daemon.start_run("b")
        assert seqs(take(watch, 3)) == [3, 4, 5]


@both
@pytest.mark.parametrize("job_ids", [["a"], ["a", "b"], None])
def test_a_quick_restart(daemon: FakeDaemon, connect: Connect, job_ids: list[str] | None) -> None:
    """A daemon that is killed and comes back at once on its ports is followed without a word, and with all it did."""
    daemon.add_job("a")
    daemon.add_job("b")
    with connect(daemon.control) as client:
        watch = client.watch(job_ids)
        begin = [next(watch) for _ in job_ids or "ab"]
        daemon.start_run("a")
        begin += [next(watch)]
        daemon.stop()
        daemon.world.boot_again()
        daemon.world.finish("a", "failed")
        daemon.start()
        client.retry("a")
        daemon.finish("a")
        rest = take(watch, 3)
    assert kinds(begin)[-1] == "run_started"
    assert kinds(rest) == ["run_finished", "job_retried", "run_finished"]
    assert seqs(rest) == [4, 5, 6]


@both
@pytest.mark.usefixtures("_impatient")
@pytest.mark.parametrize("moved", [False, True])
def test_a_long_absence(daemon: FakeDaemon, connect: Connect, moved: bool) -> None:
    """A daemon that is away is told to be, and to be back, also when its events have another port then."""
    daemon.add_job("a")
    with connect(daemon.control, timeout_s=0.5) as client:
        watch = client.watch(["a"])
        next(watch)
        daemon.stop()
        assert kinds([next(watch)]) == ["away"]
        daemon.world.finish("a")
        daemon.restart(moved=moved)
        assert kinds(watch) == ["back", "run_finished"]


@both
@pytest.mark.usefixtures("_impatient")
def test_a_daemon_that_is_stopping(daemon: FakeDaemon, connect: Connect) -> None:
    """A daemon that refuses because it is stopping is away, not a reason to give up."""
    daemon.add_job("a")
    with connect(daemon.control) as client:
        watch = client.watch(["a"])
        next(watch)
        daemon.refuse("events_since", Refused(ErrorCode.SHUTTING_DOWN, "the daemon is stopping"))
        daemon.drop_events()
        daemon.finish("a")
        assert kinds(watch) == ["away", "back", "run_finished"]


@both
@pytest.mark.usefixtures("_impatient")
def test_lost_in_the_middle_of_a_catch_up(daemon: FakeDaemon, connect: Connect) -> None:
    """When the daemon falls silent between two pages of missed events, those of the first are not told again."""
    daemon.add_job("a")
    with connect(daemon.control, timeout_s=0.3) as client:
        watch = client.watch(["a"])
        next(watch)
        daemon.drop_events(7)
        daemon.after("events_since", lambda: daemon.lose_replies("events_since", 3))
        for _ in range(7):
            daemon.start_run("a")
        daemon.finish("a")
        told = list(watch)
    assert seqs(told) == list(range(2, 10))
    assert kinds(told)[3:5] == ["away", "back"]


@both
@pytest.mark.parametrize("job_ids", [["a"], None])
def test_events_gone_for_good(daemon: FakeDaemon, connect: Connect, job_ids: list[str] | None) -> None:
    """When the daemon no longer has what was lost, a watch says that there is a gap and tells the jobs as they are."""
    daemon.add_job("a")
    with connect(daemon.control) as client:
        watch = client.watch(job_ids)
        next(watch)
        daemon.drop_events(2)
        daemon.start_run("a")
        daemon.start_run("a")
        daemon.world.forgotten = 3
        assert kinds([next(watch), next(watch)]) == ["gap", "a running"]
        daemon.finish("a")
        assert kinds(take(watch, 1)) == ["run_finished"]


@both
def test_all_that_ended_in_a_gap(daemon: FakeDaemon, connect: Connect) -> None:
    """Who watches all jobs learns after a gap how each ended that it had seen, or that came and ended meanwhile.

    What ended before the watch began is not told.
    """
    daemon.add_job("old")
    daemon.finish("old")
    daemon.world.jobs["old"] = structs.replace(daemon.world.jobs["old"], finished_at_ms=1)
    daemon.add_job("a")
    daemon.add_job("b")
    with connect(daemon.control) as client:
        watch = client.watch()
        assert kinds([next(watch), next(watch)]) == ["a queued", "b queued"]
        daemon.drop_events(4)
        daemon.finish("a", "failed")
        for number in range(2):
            daemon.add_job(f"unseen-{number}")
        daemon.finish("unseen-1")
        daemon.world.forgotten = 7
        told = kinds([next(watch) for _ in range(5)])
        assert told == ["gap", "a failed", "b queued", "unseen-0 queued", "unseen-1 succeeded"]
        daemon.finish("b")
        daemon.finish("unseen-0")
        assert kinds(take(watch, 2)) == ["run_finished"] * 2


@both
def test_a_clock_that_was_set_back_in_a_gap(daemon: FakeDaemon, connect: Connect) -> None:
    """Who watches all jobs learns how those ended that it had seen, though by the clock they did so before the gap."""
    daemon.add_job("a")
    with connect(daemon.control) as client:
        watch = client.watch()
        next(watch)
        daemon.drop_events(1)
        daemon.finish("a")
        daemon.world.jobs["a"] = structs.replace(daemon.world.jobs["a"], finished_at_ms=1)
        daemon.world.forgotten = 3
        assert kinds(take(watch, 2)) == ["gap", "a succeeded"]


@both
def test_jobs_that_are_gone_after_a_gap(daemon: FakeDaemon, connect: Connect) -> None:
    """Who watches all jobs is told of those whose end can't be known any more, with what was known of them last."""
    daemon.add_job("a")
    daemon.add_job("b")
    with connect(daemon.control) as client:
        watch = client.watch()
        assert kinds([next(watch), next(watch)]) == ["a queued", "b queued"]
        daemon.drop_events(1)
        daemon.start_run("a")
        del daemon.world.jobs["a"]
        daemon.world.forgotten = 4
        gap, b, gone = (next(watch) for _ in range(3))
        assert kinds([gap, b, gone]) == ["gap", "b queued", "gone"]
        assert gone.job is not None
        assert (gone.job.job_id, gone.job.state) == ("a", "queued")
        daemon.finish("b")
        assert kinds(take(watch, 1)) == ["run_finished"]


@both
def test_another_database(daemon: FakeDaemon, connect: Connect) -> None:
    """When another database answers, its jobs are told anew, although its numbers may be lower than those before."""
    daemon.add_job("a")
    daemon.add_job("b")
    with connect(daemon.control) as client:
        watch = client.watch()
        begin = [next(watch), next(watch)]
        assert kinds(begin) == ["a queued", "b queued"]
        daemon.stop()
        daemon.world.boot_again("db-2")
        daemon.world.add_job("c")
        daemon.start()
        assert kinds([next(watch) for _ in range(4)]) == ["gap", "c queued", "gone", "gone"]
        daemon.start_run("c")
        assert seqs(take(watch, 1)) == [2]


@both
def test_a_job_that_is_gone(daemon: FakeDaemon, connect: Connect) -> None:
    """When another database answers that does not know the job, the watch ends with an error that names it."""
    daemon.add_job("a")
    with connect(daemon.control) as client:
        watch = client.watch(["a"])
        next(watch)
        daemon.restart(instance_id="db-2")
        with pytest.raises(NotFound, match="a"):
            list(watch)


@both
@pytest.mark.usefixtures("_impatient")
@pytest.mark.parametrize("seed", range(2))
def test_a_bad_day(daemon: FakeDaemon, connect: Connect, seed: int) -> None:
    """Whatever mixture of lost events, lost replies and restarts there is, a watch tells the whole log in order."""
    dice = random.Random(seed)
    for job_id in "abc":
        daemon.add_job(job_id)
    with connect(daemon.control, timeout_s=0.3) as client:
        watch = client.watch()
        told = [next(watch) for _ in "abc"]
        for _ in range(30):
            daemon.drop_events(dice.choice([0, 0, 1, 2]))
            daemon.start_run(dice.choice("abc"))
            daemon.lose_replies("events_since", dice.choice([0, 0, 1]))
            if dice.random() < 0.1:
                daemon.restart(moved=dice.random() < 0.5)
            if dice.random() < 0.3:
                told.append(next(watch))
        while (seqs(told) or [0])[-1] < 33:
            told.append(next(watch))
        take(watch, 0)
    assert seqs(told) == list(range(4, 34))
