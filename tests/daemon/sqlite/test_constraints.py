"""The database itself refuses nonsense, whoever tries to write it."""

import sqlite3
from pathlib import Path

import pytest
from tests.daemon.sqlite.queues import Queue

NONSENSE = {
    "a job whose items don't add up": "UPDATE jobs SET pending = pending + 1",
    "a job with fewer than no items": "UPDATE jobs SET pending = -1, total = -1",
    "a job in a state that there is not": "UPDATE jobs SET state = 'done'",
    "a final job with work left": "UPDATE jobs SET state = 'succeeded', finished_ms = 1",
    "a job that is over and has no end": "UPDATE jobs SET state = 'failed'",
    "a job that runs and has an end": "UPDATE jobs SET finished_ms = 1",
    "an active job with nothing to do": "UPDATE jobs SET pending = 0, succeeded = total",
    "a priority that there is not": "UPDATE jobs SET priority = 4",
    "a pause without an author": "UPDATE jobs SET paused_ms = 1, paused_reason = 'x'",
    "a job that may not be tried": "UPDATE jobs SET max_attempts = 0",
    "a limit of no time": "UPDATE jobs SET timeout_s = 0",
    "a short fingerprint": "UPDATE jobs SET fingerprint = x'00'",
    "an item in a state that there is not": "UPDATE items SET state = 'lost'",
    "an item that waits though it runs": "UPDATE items SET state = 'running', not_before_ms = 1",
    "an item before the first": "UPDATE items SET idx = -1 WHERE idx = 0",
    "an item of no job": "INSERT INTO items (job_key, idx, params, added_ms) VALUES (99, 0, x'80', 1)",
    "a number for a text": "UPDATE jobs SET state = 7",
    "a text for a number": "UPDATE items SET attempts = 'many'",
    "fewer than no attempts": "UPDATE items SET attempts = -1",
    "fewer ready than none": "UPDATE lots SET ready = -1",
    "a second pause of the queue": "INSERT INTO queue_pause VALUES (2, 'x', 'x', 1)",
    "an attempt of no run": "INSERT INTO attempts (run_id, position, job_key, idx) VALUES ('none', 0, 1, 0)",
    "an outcome that is none": "UPDATE attempts SET outcome = 'running'",
    "an artifact with half a hash": "UPDATE artifacts SET sha256 = 'abc'",
    "two artifacts in one place": (
        "INSERT INTO artifacts (job_key, idx, output, run_id, path, media_type, sha256, bytes)"
        " SELECT job_key, idx, 1, run_id, path, media_type, sha256, bytes FROM artifacts"
    ),
    "the same output twice": (
        "INSERT INTO artifacts (job_key, idx, output, run_id, path, media_type, sha256, bytes)"
        " SELECT job_key, idx, output, run_id, 'elsewhere', media_type, sha256, bytes FROM artifacts"
    ),
    "the same job twice": (
        "INSERT INTO jobs SELECT job_key + 1, job_id, " + "{rest} FROM jobs"  # filled in by the test
    ),
}


@pytest.mark.parametrize("what", NONSENSE)
def test_nonsense_is_refused(tmp_path: Path, what: str) -> None:
    """We expect the statement to fail, and nothing to have changed."""
    queue = Queue(tmp_path)
    queue.accept("job", 3)
    run = queue.claim()
    assert run is not None
    queue.record(run)
    columns = [name for _, name, *_ in queue.all("PRAGMA table_info(jobs)")]
    before = list(queue.connection.iterdump())
    with pytest.raises(sqlite3.IntegrityError):
        queue.connection.execute(NONSENSE[what].format(rest=", ".join(columns[2:])))
    assert list(queue.connection.iterdump()) == before
