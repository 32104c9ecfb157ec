"""What was done, how fast, and after what wait."""

import pytest
from tests.system.daemons import Rig

from stoker_client.errors import NotFound


def test_stats_count_what_ended(rig: Rig) -> None:
    """We expect outcomes, failures, runs and loads to be counted, for a job and for all."""
    first = rig.run("a", "b", "c", batch_size=1)
    second = rig.run("x", {"prompt": "y", "do": "fail", "kind": "server_error", "times": 1}, batch_size=1)
    both, one = rig.client.stats(window_s=600), rig.client.stats(second.job_id)
    assert (both.attempts, both.runs, both.outcomes) == (6, 6, {"succeeded": 5, "pending": 1})
    assert (one.attempts, one.runs, one.outcomes) == (3, 3, {"succeeded": 2, "pending": 1})
    assert both.failures == one.failures == {"server_error": 1}
    assert (both.loads, one.loads, both.is_cut) == (1, None, False)
    assert one.wait_s is not None
    assert one.run_s is not None
    assert (one.wait_s.count, one.run_s.count) == (2, 3)
    assert 0 <= one.wait_s.p50 <= one.wait_s.p90 <= one.wait_s.p99
    assert (one.since_ms, one.until_ms) == (pytest.approx(second.started_at_ms, abs=5), second.finished_at_ms)
    assert one.items_per_s == pytest.approx(2000 / (one.until_ms - one.since_ms), rel=0.01)
    assert 0 < one.busy <= 1
    assert rig.client.stats(first.job_id).outcomes == {"succeeded": 3}


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
        assert (stats.attempts, stats.outcomes, stats.wait_s, stats.items_per_s) == (0, {}, None, 0)
    with pytest.raises(NotFound):
        rig.client.stats("none")
    rig.client.cancel(job_id)
