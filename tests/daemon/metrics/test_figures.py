"""What is counted of commits, and what a scrape shows of the moment."""

import re

import pytest
from msgspec import structs

from stoker_daemon.jobs.records import Commit, CommittedEvent
from stoker_daemon.metrics import Figures, Moment
from stoker_daemon.metrics.arrivals import MAX_JOBS, Arrivals
from stoker_protocol import codec
from stoker_protocol.events import (
    EngineDown,
    JobAppended,
    JobSubmitted,
    LifecycleEvent,
    ModelLoaded,
    RunEscalated,
    RunFinished,
    RunStarted,
)
from stoker_protocol.gpus import Gpu
from stoker_protocol.jobs import (
    Failure,
    ItemCounts,
    ItemState,
    Job,
    JobState,
    Lane,
    Outcome,
    Pause,
    Priority,
    Queue,
    Run,
)
from stoker_protocol.replies import Finding, HealthReport

JOB = Job(
    job_id="j",
    name="",
    state=JobState.RUNNING,
    priority=Priority.HIGH,
    engine="sprites",
    model="critters",
    client="local",
    items=ItemCounts(total=3),
    created_at_ms=1_000,
)
RUN = Run(run_id="r", lane="gpu", engine="sprites", model="critters", batch_size=2, indexes=[0, 1])
CALM = Moment(Queue(0, 0, 0), {}, [], [], HealthReport(ready=True, findings=[]), 7)


def commit(*events: LifecycleEvent, sync_s: float = 0.002) -> Commit:
    """A commit that tells of these."""
    rows = [
        CommittedEvent(seq, f"job/j/{event.__struct_config__.tag}", codec.encode(event))
        for seq, event in enumerate(events, start=1)
    ]
    return Commit(tuple(rows), sync_s=sync_s)


def value(text: str, sample: str) -> float:
    """The value of one sample, by its name and labels as they are written."""
    found = re.search(rf"^{re.escape(sample)} (\S+)$", text, re.MULTILINE)
    assert found is not None, f"no {sample} in\n{text}"
    return float(found[1])


def test_what_events_tell() -> None:
    """We expect jobs, items, runs, waits, loads, outcomes and deaths to be counted with their labels."""
    figures = Figures("1.2")
    figures.committed(commit(JobSubmitted(job=JOB), JobAppended(job=JOB, at=3, count=2)))
    figures.committed(commit(ModelLoaded(lane="gpu", engine="sprites", model="critters", seconds=2.5)))
    figures.committed(commit(RunStarted(at_ms=4_000, job=JOB, run=RUN)))
    failed = Failure("oom", "no memory")
    outcomes = [Outcome(0, ItemState.SUCCEEDED, 1), Outcome(1, ItemState.PENDING, 1, failed)]
    figures.committed(commit(RunFinished(at_ms=6_000, job=JOB, run_id="r", outcomes=outcomes)))
    figures.committed(commit(EngineDown(lane="gpu", engine="sprites", detail="")))
    figures.committed(commit(RunEscalated(lane="gpu", engine="sprites", run_id="r", rung="kill", reason="timeout")))
    text = figures.text(CALM).decode()
    for sample, expected in {
        'stoker_build{version="1.2"}': 1,
        'stoker_jobs_accepted_total{priority="high"}': 1,
        'stoker_items_accepted_total{priority="high"}': 5,
        'stoker_model_loads_total{engine="sprites",lane="gpu"}': 1,
        'stoker_model_load_seconds_total{engine="sprites",lane="gpu"}': 2.5,
        'stoker_item_wait_seconds_sum{priority="high"}': 3,
        'stoker_item_wait_seconds_count{priority="high"}': 1,
        'stoker_run_seconds_sum{engine="sprites"}': 2,
        'stoker_item_outcomes_total{engine="sprites",kind="",outcome="succeeded"}': 1,
        'stoker_item_outcomes_total{engine="sprites",kind="oom",outcome="pending"}': 1,
        'stoker_engine_deaths_total{engine="sprites"}': 1,
        'stoker_run_escalations_total{engine="sprites",rung="kill"}': 1,
        "stoker_events_total": 7,
        "stoker_commits_total": 6,
        "stoker_commit_seconds_count": 6,
    }.items():
        assert value(text, sample) == expected, sample


def test_waits_of_items_that_came_later() -> None:
    """We expect each item to have waited since it came itself: with its job, or with what was appended to that."""
    figures = Figures("1")
    for at, at_ms in ((2, 10_000), (3, 20_000)):
        figures.committed(commit(JobAppended(at_ms=at_ms, job=JOB, at=at, count=1)))
    run = structs.replace(RUN, batch_size=4, indexes=[0, 1, 2, 3])
    figures.committed(commit(RunStarted(at_ms=21_000, job=JOB, run=run)))
    outcomes = [Outcome(index, ItemState.SUCCEEDED, 1) for index in (0, 2, 3)]
    retried = Outcome(1, ItemState.SUCCEEDED, 2)
    figures.committed(commit(RunFinished(at_ms=22_000, job=JOB, run_id="r", outcomes=[*outcomes, retried])))
    text = figures.text(CALM).decode()
    assert value(text, 'stoker_item_wait_seconds_sum{priority="high"}') == 20 + 11 + 1
    assert value(text, 'stoker_item_wait_seconds_count{priority="high"}') == 3


def test_what_is_remembered_is_bounded() -> None:
    """We expect the newest jobs and appends alone to be remembered, and a job that is over not at all."""
    arrivals = Arrivals()
    for number in range(MAX_JOBS + 1):
        arrivals.note(JobAppended(at_ms=9_000, job=structs.replace(JOB, job_id=str(number)), at=1, count=1))
    oldest, newest = (structs.replace(JOB, job_id=str(number)) for number in (0, MAX_JOBS))
    assert (arrivals.came_ms(oldest, 1), arrivals.came_ms(newest, 1)) == (JOB.created_at_ms, 9_000)
    arrivals.forget(newest)
    assert arrivals.came_ms(newest, 1) == JOB.created_at_ms


def test_runs_of_an_earlier_daemon_are_not_timed() -> None:
    """We expect the outcomes of a run whose start was not seen, but no duration made up for it."""
    figures = Figures("1")
    figures.committed(commit(RunFinished(job=JOB, run_id="old", outcomes=[Outcome(0, ItemState.SUCCEEDED, 1)])))
    text = figures.text(CALM).decode()
    assert value(text, 'stoker_item_outcomes_total{engine="sprites",kind="",outcome="succeeded"}') == 1
    assert "stoker_run_seconds_count{" not in text


def test_the_moment() -> None:
    """We expect the queue by priority, lanes, findings and GPUs as they are, and nothing that a driver doesn't tell."""
    moment = Moment(
        queue=Queue(5, 1, 2, Pause("lunch", "ann", 1)),
        ready={Priority.URGENT: 2},
        lanes=[Lane("gpu", "loading"), Lane("llm", "idle", held_up="disk full")],
        engines=[],
        health=HealthReport(ready=False, findings=[Finding("store", ok=True), Finding("lane llm", ok=False)]),
        disk_free=123,
        gpus=[Gpu(0, "H200", "GPU-1", memory_total=100, memory_free=60, utilisation=50.0)],
    )
    text = Figures("1").text(moment).decode()
    for sample, expected in {
        'stoker_queue_ready_items{priority="urgent"}': 2,
        'stoker_queue_ready_items{priority="low"}': 0,
        "stoker_queue_pending_items": 5,
        "stoker_queue_running_items": 1,
        "stoker_queue_active_jobs": 2,
        "stoker_queue_paused": 1,
        'stoker_lane_busy{lane="gpu"}': 1,
        'stoker_lane_held_up{lane="llm"}': 1,
        'stoker_health_ok{part="lane llm"}': 0,
        "stoker_disk_free_bytes": 123,
        'stoker_gpu_utilisation_ratio{gpu="GPU-1"}': 0.5,
        'stoker_gpu_memory_used_bytes{gpu="GPU-1"}': 40,
    }.items():
        assert value(text, sample) == expected, sample
    assert "stoker_gpu_power_watts{" not in text


@pytest.mark.parametrize("number", [10, 5_000])
def test_starts_without_ends_are_forgotten(number: int) -> None:
    """We expect a bounded memory of runs that never end."""
    figures = Figures("1")
    for each in range(number):
        run = Run(run_id=f"r{each}", lane="gpu", engine="sprites", model="", batch_size=1, indexes=[0])
        figures.committed(commit(RunStarted(at_ms=1, job=JOB, run=run)))
    assert len(figures._began_ms) == min(number, 1_000)
