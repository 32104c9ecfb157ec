"""What was done, how fast, and after what wait."""

from contextlib import closing

import pytest
from tests.clients.cli.running import run_process
from tests.fault.audit import connect
from tests.system.daemons import Rig

from stoker_client.errors import NotFound
from stoker_daemon.sqlite import statistics
from stoker_protocol.requests import GetStats


def test_stats_count_what_ended(rig: Rig) -> None:
    """We expect outcomes, failures, runs and loads to be counted, for a job and for all."""
    first = rig.run("a", "b", "c", batch_size=1)
    second = rig.run("x", {"prompt": "y", "do": "fail", "kind": "server_error", "times": 1}, batch_size=1)
    both, one = rig.client.stats(window_s=600), rig.client.stats(second.job_id)
    assert (both.attempts, both.runs, both.outcomes) == (6, 6, {"succeeded": 5, "pending": 1})
    assert (one.attempts, one.runs, one.outcomes) == (3, 3, {"succeeded": 2, "pending": 1})
    assert both.failures == one.failures == {"server_error": 1}
    assert (both.loads, one.loads, both.is_cut) == (1, None, False)
    assert both.rates == one.rates == {"succeeded": 1, "rejected": 0, "failed": 0}
    assert one.wait_s is not None
    assert one.run_s is not None
    assert (one.wait_s.count, one.run_s.count) == (2, 3)
    assert 0 <= one.wait_s.p50 <= one.wait_s.p90 <= one.wait_s.p99
    assert (one.since_ms, one.until_ms) == (pytest.approx(second.started_at_ms, abs=5), second.finished_at_ms)
    assert one.items_per_s == pytest.approx(2000 / (one.until_ms - one.since_ms), rel=0.01)
    assert 0 < one.busy <= 1
    assert rig.client.stats(first.job_id).outcomes == {"succeeded": 3}


def test_rate_is_over_the_time_that_there_was(rig: Rig) -> None:
    """We expect a window that is longer than the queue's life to begin with its first job."""
    first = rig.run("a", "b")
    stats = rig.client.stats(window_s=86_400)
    assert stats.since_ms == first.created_at_ms
    assert stats.items_per_s == pytest.approx(2000 / (stats.until_ms - stats.since_ms), rel=0.01)


def test_wait_is_until_the_first_claim(rig: Rig) -> None:
    """We expect an item's wait to begin when it came, and not to count its way to a second attempt."""
    rig.client.pause()
    job_id = rig.submit({"prompt": "x", "do": "fail", "kind": "server_error", "times": 1})
    added_ms = rig.client.job(job_id).created_at_ms
    rig.client.resume()
    job = rig.wait(job_id)
    assert job.started_at_ms is not None
    wait_s = rig.client.stats(job_id).wait_s
    assert wait_s is not None
    assert (wait_s.count, wait_s.p99) == (1, pytest.approx((job.started_at_ms - added_ms) / 1000))


def test_stats_of_nothing(rig: Rig) -> None:
    """We expect a daemon and a job that did nothing yet to say so, and a job that is not there not to be found."""
    rig.client.pause()
    job_id = rig.submit("x")
    for stats in (rig.client.stats(), rig.client.stats(job_id), rig.client.stats(job_id, window_s=5)):
        assert (stats.attempts, stats.outcomes, stats.rates, stats.wait_s) == (0, {}, {}, None)
        assert stats.items_per_s == 0
    with pytest.raises(NotFound):
        rig.client.stats("none")
    rig.client.cancel(job_id)


@pytest.mark.parametrize("of_one", [True, False], ids=["job", "all"])
def test_stats_look_at_the_newest(rig: Rig, monkeypatch: pytest.MonkeyPatch, of_one: bool) -> None:
    """We expect more attempts than the bound to be left out, oldest first, and the reply to say so."""
    job = rig.run("a", "b", {"prompt": "c", "do": "fail"}, max_attempts=1, batch_size=1)
    monkeypatch.setattr(statistics, "MOST", 2)
    request = GetStats(id="1", job_id=job.job_id if of_one else None)
    assert job.finished_at_ms is not None
    with closing(connect(rig.data_dir)) as connection:
        stats = statistics.read_stats(connection, request, job.finished_at_ms)
    assert (stats.attempts, stats.bound, stats.is_cut) == (2, 2, True)
    assert stats.outcomes == {"succeeded": 1, "failed": 1}
    assert stats.since_ms > (job.started_at_ms or 0)


def test_stats_and_move_on_the_command_line(rig: Rig) -> None:
    """We expect figures for scripts and for people, and a move to say where to."""
    job = rig.run("a", {"prompt": "b", "do": "fail"}, max_attempts=1)
    said = run_process("stats", job.job_id, "--json", endpoint=rig.daemon.control).json
    assert (said["outcomes"], said["since"][-1], said["wait_s"]["count"]) == ({"succeeded": 1, "failed": 1}, "Z", 2)
    told = run_process("stats", "--window", "10m", endpoint=rig.daemon.control).out
    assert "1 succeeded (50.0%), 1 failed (50.0%)" in told
    assert said["rates"] == {"succeeded": 0.5, "rejected": 0, "failed": 0.5}
    assert "P99" in told
    rig.client.pause()
    waiting = rig.submit("x")
    moved = run_process("move", waiting, "--priority", "high", "--front", "--json", endpoint=rig.daemon.control)
    assert moved.json == {"job_id": waiting, "priority": "high", "rev": 1}
    assert run_process("move", waiting, endpoint=rig.daemon.control).code == 2
    assert run_process("move", job.job_id, "--front", endpoint=rig.daemon.control).code == 4
    rig.client.cancel(waiting)
