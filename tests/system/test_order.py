"""Which job runs when, on which model, and how many of its items at once."""

from tests.system.daemons import Rig

from stoker_protocol.events import ModelLoaded, RunStarted
from stoker_protocol.jobs import JobState


def _hold(rig: Rig) -> None:
    """Keep the lane busy with one item, so that what is submitted meanwhile waits."""
    rig.submit(rig.gate("hold").item("hold"), priority="urgent")
    rig.gate("hold").wait()


def _release(rig: Rig, *job_ids: str) -> None:
    rig.gate("hold").open()
    for job_id in job_ids:
        assert rig.wait(job_id).state is JobState.SUCCEEDED


def test_priorities_then_first_come(rig: Rig) -> None:
    """We expect jobs of a higher priority first, and within one priority those that came first."""
    _hold(rig)
    order = ["low", "normal", "urgent", "high"]
    jobs = [rig.submit(f"{priority} {n}", priority=priority) for n in (1, 2) for priority in order]
    _release(rig, *jobs)
    expected = [f"{priority} {n}" for priority in ("urgent", "high", "normal", "low") for n in (1, 2)]
    assert rig.executed() == ["hold", *expected]


def test_loaded_model_is_used_up_first(rig: Rig) -> None:
    """We expect one load for each model within one priority, however the jobs for them alternate."""
    _hold(rig)
    jobs = [rig.submit(f"{model} {n}", model=model) for n in range(3) for model in ("two", "one")]
    _release(rig, *jobs)
    assert rig.executed()[1:] == [f"{model} {n}" for model in ("one", "two") for n in range(3)]
    assert [event.model for event in rig.events(ModelLoaded)] == ["one", "two"]
    assert [lane.loads for lane in rig.client.snapshot().lanes] == [2]


def test_priority_comes_before_the_loaded_model(rig: Rig) -> None:
    """We expect an urgent job to have its model loaded although work for the loaded one waits."""
    _hold(rig)
    jobs = [rig.submit("one", model="one"), rig.submit("two", model="two", priority="urgent")]
    _release(rig, *jobs)
    assert rig.executed()[1:] == ["two", "one"]
    assert [event.model for event in rig.events(ModelLoaded)] == ["one", "two", "one"]


def test_urgent_job_comes_between_the_runs_of_another(rig: Rig) -> None:
    """We expect an urgent job to wait for the run at work only, not for the job that it belongs to."""
    gate = rig.gate()
    long = rig.submit(gate.item("first"), "second", "third", batch_size=1)
    gate.wait()
    urgent = rig.submit("urgent", priority="urgent")
    gate.open()
    rig.wait(urgent)
    rig.wait(long)
    assert rig.executed() == ["first", "urgent", "second", "third"]


def test_items_share_runs_up_to_the_limits(rig: Rig) -> None:
    """We expect runs as large as the engine takes, or as the job allows, with the items in their order."""
    rig.run(*[str(n) for n in range(19)])
    rig.run(*[str(n) for n in range(5)], batch_size=2)
    rig.run("a", "b", batch_size=100)
    runs = [event.run for event in rig.events(RunStarted)]
    assert [run.indexes for run in runs[:3]] == [[*range(8)], [*range(8, 16)], [16, 17, 18]]
    assert [run.indexes for run in runs[3:6]] == [[0, 1], [2, 3], [4]]
    assert [run.indexes for run in runs[6:]] == [[0, 1]]
    assert all(run.batch_size == len(run.indexes) for run in runs)
