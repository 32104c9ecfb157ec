"""A worker that does not listen is ended step by step, each step is told, and the others go on."""

from pathlib import Path

import pytest
from tests.system.daemons import Rig, a_rig, config
from tests.worker.processes import is_alive, wait_for

from stoker_protocol.events import EngineDown, RunEscalated
from stoker_protocol.jobs import JobState

LADDER = ["interrupt", "terminate", "kill"]
STUCK: list[tuple[dict[str, object], int]] = [
    ({"do": "hang"}, 2),
    ({"do": "hold_gil"}, 2),
    ({"do": "stop"}, 3),
    ({"do": "hang", "ignore_sigterm": True}, 3),
    ({"do": "hold_gil", "ignore_sigterm": True}, 3),
]


@pytest.mark.parametrize(("fault", "rungs"), STUCK)
def test_ladder(rig: Rig, fault: dict[str, object], rungs: int) -> None:
    """We expect the steps that it takes and no more, a new worker, and the other items and jobs to succeed."""
    stuck = rig.submit("a", {"prompt": "stuck", **fault}, "c", no_progress_s=0.4, max_attempts=1, batch_size=1)
    other = rig.submit("other")
    wait_for(lambda: "stuck" in rig.executed())
    worker = rig.worker_pid
    assert rig.wait(stuck).state is JobState.FAILED
    assert rig.wait(other).state is JobState.SUCCEEDED
    assert rig.states(stuck) == ["succeeded", "failed", "succeeded"]
    assert [(event.rung, event.reason) for event in rig.events(RunEscalated)] == [
        (rung, "no_progress") for rung in LADDER[:rungs]
    ]
    assert len(rig.events(EngineDown)) == 1
    assert not is_alive(worker)
    assert rig.executed() == ["a", "stuck", "c", "other"]


def test_model_that_never_loads(tmp_path: Path) -> None:
    """We expect its items to fail by their attempts, each in the time that a load may take, and the others to run."""
    engines = config().partition("[engines.faults]")[2]
    text = config(engines=f"[engines.faults]{engines}load_timeout_s = 0.4\n")
    with a_rig(tmp_path, text) as rig:
        stuck = rig.submit("never", model="stuck", max_attempts=2)
        other = rig.submit("other", model="one")
        job = rig.wait(stuck)
        assert rig.wait(other).state is JobState.SUCCEEDED
        assert job.error is not None
        assert (job.state, job.error.kind) == (JobState.FAILED, "timeout")
        assert [item.attempts for item in rig.items(stuck)] == [2]
        assert rig.executed() == ["other"]


def test_worker_that_starts_processes_of_its_own(rig: Rig) -> None:
    """We expect what a model has started to end with its worker."""
    rig.run({"prompt": "parent", "do": "child"}, {"prompt": "killer", "do": "kill"}, batch_size=1, max_attempts=1)
    (child,) = {int(line.split()[1]) for line in rig.log.read_text().splitlines() if line.startswith("child ")}
    wait_for(lambda: not is_alive(child))
