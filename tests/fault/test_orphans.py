"""No worker outlives its daemon, whatever state both are in."""

import ctypes
import os
import signal
import time
from collections.abc import Generator
from pathlib import Path

import pytest
from tests.system.daemons import Rig, a_rig
from tests.worker.processes import is_alive, state_of, wait_for

from stoker_protocol.events import DaemonStarted
from stoker_protocol.jobs import JobState

AT_MOST_S = 1.0
PR_SET_CHILD_SUBREAPER = 36
"""Source: prctl(2)."""


@pytest.fixture
def reaper() -> Generator[None]:
    """Be the one who reaps processes whose parent is dead, as init does; where tests run, init may be slow at it."""
    libc = ctypes.CDLL(None)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1)
    yield
    libc.prctl(PR_SET_CHILD_SUBREAPER, 0)


def _outlives(pid: int) -> float:
    """Seconds until a process is gone."""
    began_s = time.monotonic()
    wait_for(lambda: not is_alive(pid))
    return time.monotonic() - began_s


@pytest.mark.parametrize("fault", ["", "hang", "hold_gil", "stop"])
def test_worker_dies_with_its_daemon(rig: Rig, fault: str) -> None:
    """We expect a worker that waits, hangs, holds the GIL or is stopped to be gone within a second of its daemon."""
    rig.run("a")
    worker = rig.worker_pid
    if fault:
        rig.submit({"prompt": "stuck", "do": fault})
        wait_for(lambda: "stuck" in rig.executed())
    if fault == "stop":
        wait_for(lambda: state_of(worker) == "T")
    rig.kill()
    assert _outlives(worker) <= AT_MOST_S


def test_worker_that_is_loading_dies_with_its_daemon(rig: Rig) -> None:
    """We expect the same of a worker in the middle of a load."""
    job_id = rig.submit("a", model="stuck")
    rig.wait_until(job_id, lambda job: job.items.running)
    worker = rig.worker_pid
    rig.kill()
    assert _outlives(worker) <= AT_MOST_S


@pytest.mark.parametrize("fault", ["hang", "hold_gil", "stop"])
@pytest.mark.usefixtures("reaper")
def test_process_that_a_model_started_does_not_stay(rig: Rig, fault: str) -> None:
    """We expect a process of the model to be gone at the latest when the next daemon is ready."""
    rig.run({"prompt": "parent", "do": "child"}, max_attempts=1)
    (child,) = {int(line.split()[1]) for line in rig.log.read_text().splitlines() if line.startswith("child ")}
    stuck = rig.submit({"prompt": "stuck", "do": fault, "times": 1})
    wait_for(lambda: "stuck" in rig.executed())
    worker = rig.worker_pid
    rig.kill()
    os.waitpid(worker, 0)
    rig.restart()
    assert not is_alive(child)
    assert rig.wait(stuck).state is JobState.SUCCEEDED


def test_daemon_that_was_stopped_is_still_the_owner(tmp_path: Path) -> None:
    """We expect a daemon in SIGSTOP to keep its directory and its worker, and to go on when it is continued."""
    with a_rig(tmp_path) as rig:
        rig.run("a")
        os.kill(rig.daemon.pid, signal.SIGSTOP)
        try:
            assert is_alive(rig.worker_pid)
        finally:
            os.kill(rig.daemon.pid, signal.SIGCONT)
        assert rig.run("b").state is JobState.SUCCEEDED
        assert len(rig.events(DaemonStarted)) == 1
