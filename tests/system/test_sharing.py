"""Items of several jobs share a run, and each job is treated as if it had it alone."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from tests.system.daemons import Rig

from stoker_protocol.events import RunFinished, RunStarted
from stoker_protocol.jobs import JobState


def _shared(rig: Rig, *jobs: Mapping[str, Any]) -> list[str]:
    """Jobs of one item each, whose items come into one run; `options` are the job's."""
    rig.client.pause(reason="until all are there")
    job_ids: list[str] = []
    for job in jobs:
        item = {key: value for key, value in job.items() if key != "options"}
        job_ids.append(rig.submit(item, **job.get("options", {})))
    rig.client.resume()
    return job_ids


def _runs(rig: Rig) -> Counter[str]:
    """How many jobs each run has begun items of."""
    return Counter(event.run.run_id for event in rig.events(RunStarted))


def test_one_run_for_several_jobs(rig: Rig) -> None:
    """We expect items of three jobs and two priorities in one run, each job with its own events, state and file."""
    jobs = _shared(rig, {"prompt": "a"}, {"prompt": "b", "options": {"priority": "high"}}, {"prompt": "c"})
    assert [rig.wait(job).state for job in jobs] == [JobState.SUCCEEDED] * 3
    assert rig.executed() == ["b", "a", "c"]
    assert list(_runs(rig).values()) == [3]
    started, finished = rig.events(RunStarted), rig.events(RunFinished)
    assert sorted(event.job.job_id for event in finished) == sorted(jobs)
    assert [(event.run.batch_size, event.run.indexes) for event in started] == [(3, [0])] * 3
    assert [len(item.artifacts) for job in jobs for item in rig.items(job)] == [1, 1, 1]


def test_a_cancel_takes_only_its_own_part(rig: Rig) -> None:
    """We expect what was cancelled to leave nothing behind, and the others to end in the same run, made once."""
    gate = rig.gate()
    first, doomed, last = _shared(rig, gate.item("first"), {"prompt": "doomed"}, {"prompt": "last"})
    gate.wait()
    (answer,) = rig.client.cancel(doomed).jobs
    assert (answer.state, answer.stopping) == (JobState.CANCELLING, 1)
    gate.open()
    assert rig.wait(doomed).state is JobState.CANCELLED
    assert [rig.wait(job).state for job in (first, last)] == [JobState.SUCCEEDED] * 2
    assert rig.executions() == {"first": 1, "doomed": 1, "last": 1}
    assert list(_runs(rig).values()) == [3]
    assert [len(item.artifacts) for item in rig.items(doomed)] == [0]
    assert not [path for path in (rig.data_dir / "outputs").glob(f"*/{doomed}/**/*") if path.is_file()]


def test_a_run_that_nobody_wants_any_more_is_stopped(rig: Rig) -> None:
    """We expect the run to be interrupted once the last of its jobs is cancelled, and others to go on."""
    gate = rig.gate()
    jobs = _shared(rig, gate.item("held"), {"prompt": "waits"})
    gate.wait()
    for job in jobs:
        rig.client.cancel(job)
    assert [rig.wait(job).state for job in jobs] == [JobState.CANCELLED] * 2
    assert rig.wait(rig.submit("other")).state is JobState.SUCCEEDED
    assert rig.executed() == ["held", "other"]


def test_a_pause_lets_the_part_at_work_end(rig: Rig) -> None:
    """We expect a job that is paused while others share its run to keep what is made for it there."""
    gate = rig.gate()
    paused, other = _shared(rig, gate.item("paused"), {"prompt": "other"})
    gate.wait()
    rig.client.pause(paused, interrupt=True)
    gate.open()
    assert [rig.wait(job).state for job in (paused, other)] == [JobState.SUCCEEDED] * 2
    assert rig.executions() == {"paused": 1, "other": 1}


def test_a_poison_item_among_the_items_of_others(rig: Rig) -> None:
    """We expect the jobs that shared its runs to succeed, and the one that kills its engine to be failed alone."""
    good, bad, also = _shared(rig, {"prompt": "good"}, {"prompt": "bad", "do": "kill"}, {"prompt": "also"})
    assert [rig.wait(job).state for job in (good, also)] == [JobState.SUCCEEDED] * 2
    job = rig.wait(bad)
    assert job.state is JobState.FAILED
    assert job.error is not None
    assert job.error.kind == "crash"


def test_a_kill_is_handled_as_each_job_wishes(rig: Rig) -> None:
    """We expect items of one run that a kill -9 cut short to be requeued, failed, or asked about, job by job."""
    gate = rig.gate()
    wishes = ("requeue", "fail", "ask")
    jobs = _shared(rig, *({**gate.item(wish), "options": {"on_interrupt": wish}} for wish in wishes))
    gate.wait()
    assert list(_runs(rig).values()) == [3]
    rig.kill()
    gate.open()
    rig.daemon.start()
    requeued, failed, asked = jobs
    assert rig.wait(requeued).state is JobState.SUCCEEDED
    assert rig.wait(failed).state is JobState.FAILED
    held = rig.client.job(asked)
    assert held.paused is not None
    assert (held.paused.reason, held.items.pending) == ("interrupted", 1)
