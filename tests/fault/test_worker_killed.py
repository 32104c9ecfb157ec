"""A worker that dies takes nothing with it but its run, and an item that kills workers is found and set aside."""

import os
import random
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from tests.fault.audit import audit_settled
from tests.system.daemons import Rig, a_rig, config
from tests.worker.processes import wait_for

from stoker_protocol.events import EngineDown, ModelLoaded, RunStarted
from stoker_protocol.jobs import ItemCounts, JobState


@pytest.mark.parametrize("batch_size", [0, 1])
def test_at_random_moments(tmp_path: Path, batch_size: int, record_property: Callable[[str, object], None]) -> None:
    """We expect 200 items to survive 12 deaths of their worker, each with one result, and the model loaded anew."""
    seed = random.randrange(1 << 32)
    record_property("seed of the 12 deaths", seed)
    moments = sorted(random.Random(seed).sample(range(1, 190), 12))
    with a_rig(tmp_path, config(crash_limit=20)) as rig:
        prompts = [f"item {n}" for n in range(200)]
        job_id = rig.submit(*prompts, params={"steps": 300}, batch_size=batch_size, max_attempts=20)
        for moment in moments:
            wait_for(lambda moment=moment: len(rig.executed()) >= moment)
            with suppress(ProcessLookupError, FileNotFoundError):
                os.kill(rig.worker_pid, signal.SIGKILL)
        job = rig.wait(job_id)
        assert (job.state, job.items) == (JobState.SUCCEEDED, ItemCounts(total=200, succeeded=200))
        deaths = len(rig.events(EngineDown))
        assert deaths + 1 <= len(rig.events(ModelLoaded)) <= 13  # a worker that died between two runs is just replaced
        rig.stop()
        assert audit_settled(rig.data_dir).states == {"succeeded": 200}


@pytest.mark.parametrize("fault", ["kill", "segfault", "exit", "close", "garbage"])
def test_one_killer_in_a_batch(rig: Rig, fault: str) -> None:
    """We expect every other item to succeed, and the killer to be failed as a crash after three runs of its own."""
    prompts: list[str | dict[str, str]] = [f"item {n}" for n in range(8)]
    prompts[3] = {"prompt": "killer", "do": fault}
    job = rig.run(*prompts, max_attempts=10)
    assert (job.state, job.items) == (JobState.FAILED, ItemCounts(total=8, succeeded=7, failed=1))
    assert job.error is not None
    assert job.error.kind == "crash"
    killer = rig.items(job.job_id)[3]
    assert (killer.state, killer.attempts) == ("failed", 3)
    assert rig.executions()["killer"] == 4
    assert all(rig.executions()[f"item {n}"] == 1 for n in range(3))
    runs = [event.run.indexes for event in rig.events(RunStarted)]
    assert runs[0] == [*range(8)]
    assert runs.count([3]) == 3
    assert sorted(runs[1:]) == sorted([[3], [3], [3], [4], [5], [6], [7]])
    assert len(rig.events(EngineDown)) == 4


def test_killer_has_no_more_attempts_than_its_job_allows(rig: Rig) -> None:
    """We expect an item that kills its worker to count its attempts like any other."""
    job = rig.run({"prompt": "killer", "do": "kill"}, max_attempts=2)
    assert (job.state, rig.executions()) == (JobState.FAILED, {"killer": 2})
    assert job.error is not None
    assert job.error.kind == "crash"


def test_deaths_of_the_daemon_do_not_count(rig: Rig) -> None:
    """We expect an item at work each time that its daemon was killed to have all its attempts left."""
    job_id = rig.submit(rig.gate().item("innocent"), max_attempts=1)
    for count in range(1, 5):
        wait_for(lambda count=count: rig.executions() == {"innocent": count})
        rig.restart()
    rig.gate().open()
    assert rig.wait(job_id).state is JobState.SUCCEEDED
    (item,) = rig.items(job_id)
    assert (item.attempts, rig.executions()) == (1, {"innocent": 5})
