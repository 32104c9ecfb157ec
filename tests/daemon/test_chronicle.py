"""What the log hears of commits: ends, failures and deaths, each with the ids that it is searched by."""

from msgspec import structs
from structlog.testing import capture_logs
from tests.daemon.metrics.test_figures import JOB, commit

from stoker_daemon.chronicle import Chronicle
from stoker_protocol.events import JobSubmitted, QueuePaused, RunFinished, RunStarted
from stoker_protocol.jobs import Failure, ItemCounts, ItemState, JobState, Outcome, Pause, Run

IDS = {"job": "j", "client": "local", "engine": "sprites", "model": "critters"}


def test_from_submit_to_end() -> None:
    """We expect the accept, each failure by item and attempt, and the end, but no line for what just goes well."""
    over = structs.replace(JOB, state=JobState.FAILED, items=ItemCounts(total=3, succeeded=1, failed=1, rejected=1))
    outcomes = [
        Outcome(0, ItemState.SUCCEEDED, 1),
        Outcome(1, ItemState.PENDING, 1, Failure("oom", "no memory")),
        Outcome(2, ItemState.FAILED, 2, Failure("invalid", "no such size")),
        Outcome(3, ItemState.REJECTED, 1, Failure("rejected", "too dark")),
    ]
    run = Run(run_id="r", lane="gpu", engine="sprites", model="critters", batch_size=4, indexes=[0, 1, 2, 3])
    chronicle = Chronicle(in_full=True)
    with capture_logs() as lines:
        chronicle.tell(commit(JobSubmitted(job=JOB), RunStarted(job=JOB, run=run)))
        chronicle.tell(commit(RunFinished(job=over, run_id="r", outcomes=outcomes)))
    assert [(line["log_level"], line["event"]) for line in lines] == [
        ("info", "a job was accepted"),
        ("info", "an item will be tried again"),
        ("warning", "an item failed"),
        ("warning", "an item was rejected"),
        ("info", "a job ended"),
    ]
    assert all(IDS.items() <= line.items() for line in lines)
    assert {"run": "r", "item": 2, "attempt": 2, "kind": "invalid", "why": "no such size"}.items() <= lines[2].items()
    assert {"state": "failed", "succeeded": 1, "failed": 1, "rejected": 1}.items() <= lines[-1].items()


def test_where_nobody_searches() -> None:
    """We expect failures and pauses alone, where lines of plain work would only be in the way of them."""
    over = structs.replace(JOB, state=JobState.FAILED, items=ItemCounts(total=2, succeeded=1, failed=1))
    outcomes = [Outcome(0, ItemState.SUCCEEDED, 1), Outcome(1, ItemState.FAILED, 3, Failure("crash", "gone"))]
    chronicle = Chronicle(in_full=False)
    with capture_logs() as lines:
        chronicle.tell(commit(JobSubmitted(job=JOB), QueuePaused(paused=Pause("lunch", "ann", 1))))
        chronicle.tell(commit(RunFinished(job=JOB, run_id="q", outcomes=outcomes[:1])))
        chronicle.tell(commit(RunFinished(job=over, run_id="r", outcomes=outcomes)))
    assert [(line["event"], line["why"]) for line in lines] == [
        ("all work is held back", "lunch"),
        ("an item failed", "gone"),
    ]
    assert IDS.items() <= lines[1].items()
