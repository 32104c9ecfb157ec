"""A daemon that is told to stop hands its work back, one that was killed finds it again, and nothing is lost."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.system.daemons import Rig, a_rig, config
from tests.worker.processes import is_alive, wait_for

from stoker_protocol.events import DaemonStarted, DaemonStopping, JobPaused, RunFinished
from stoker_protocol.jobs import ItemCounts, JobState


def _by_signal(rig: Rig) -> None:
    rig.stop()


def _by_request(rig: Rig) -> None:
    pid = rig.daemon.pid
    rig.client.shutdown("enough")
    wait_for(lambda: not is_alive(pid))


@pytest.mark.parametrize("stop", [_by_signal, _by_request])
def test_run_at_work_is_handed_back(rig: Rig, stop: Callable[[Rig], None]) -> None:
    """We expect what had a result to be kept, the rest to wait at no charge, and to run after the next start."""
    gate = rig.gate()
    job_id = rig.submit("made", gate.item("held"), "next", batch_size=2)
    gate.wait()
    worker = rig.worker_pid
    stop(rig)
    assert not is_alive(worker)
    assert not (rig.data_dir / "endpoints.json").exists()
    assert not list((rig.data_dir / "workers").iterdir())
    (ended,) = rig.events(RunFinished)
    assert [(o.state, o.error) for o in ended.outcomes] == [("succeeded", None), ("pending", None)]
    gate.open()
    rig.restart()
    job = rig.wait(job_id)
    assert (job.state, job.items) == (JobState.SUCCEEDED, ItemCounts(total=3, succeeded=3))
    assert rig.executions() == {"made": 1, "held": 2, "next": 1}
    assert [item.attempts for item in rig.items(job_id)] == [1, 1, 1]
    assert [event.interrupted for event in rig.events(DaemonStarted)] == [0, 0]
    assert [event.boot for event in rig.events(DaemonStopping)] == [rig.events(DaemonStarted)[0].boot]


def test_run_that_ends_within_the_grace_is_kept(tmp_path: Path) -> None:
    """We expect a stopping daemon to wait for the run at work, and to begin no other."""
    with a_rig(tmp_path, config(stop_grace_s=60)) as rig:
        gate = rig.gate()
        job_id = rig.submit(gate.item("held"), "next", batch_size=1)
        gate.wait()
        pid = rig.daemon.pid
        rig.client.shutdown()
        wait_for(lambda: rig.events(DaemonStopping))
        gate.open()
        wait_for(lambda: not is_alive(pid))
        assert rig.executed() == ["held"]
        rig.restart()
        rig.wait(job_id)
        assert rig.executed() == ["held", "next"]


@pytest.mark.parametrize("fault", ["stop", "hold_gil"])
def test_stuck_run_does_not_hold_up_the_stop(rig: Rig, fault: str) -> None:
    """We expect a worker that hears nothing to be ended, and its item to be handed back."""
    job_id = rig.submit({"prompt": "stuck", "do": fault, "times": 1})
    wait_for(lambda: rig.executed() == ["stuck"])
    worker = rig.worker_pid
    rig.stop()
    assert not is_alive(worker)
    rig.restart()
    assert rig.wait(job_id).state is JobState.SUCCEEDED
    assert [item.attempts for item in rig.items(job_id)] == [1]


def test_load_at_work_does_not_hold_up_the_stop(rig: Rig) -> None:
    """We expect a model that never ends loading to be left, and its items to wait for the next start."""
    job_id = rig.submit("a", model="stuck")
    rig.wait_until(job_id, lambda job: job.items.running)
    rig.stop()
    rig.restart()
    rig.wait_until(job_id, lambda job: job.items.running)
    (item,) = rig.items(job_id)
    assert item.attempts == 0
    rig.client.cancel(job_id)


def test_killed_daemon_requeues(tmp_path: Path) -> None:
    """We expect the items of a run that was cut short to wait again, at no charge, and to succeed."""
    with a_rig(tmp_path) as rig:
        job_id = _held_and_killed(rig, "requeue")
        rig.restart()
        assert rig.wait(job_id).state is JobState.SUCCEEDED
        assert [item.attempts for item in rig.items(job_id)] == [1, 1, 1]
        assert rig.executions() == {"made": 2, "held": 2, "next": 1}
        assert [event.interrupted for event in rig.events(DaemonStarted)] == [0, 1]


def test_killed_daemon_fails_what_asks_for_it(tmp_path: Path) -> None:
    """We expect the items of a run that was cut short to fail as lost, and the others of the job to run."""
    with a_rig(tmp_path) as rig:
        job_id = _held_and_killed(rig, "fail")
        rig.restart()
        job = rig.wait(job_id)
        assert (job.state, job.items) == (JobState.FAILED, ItemCounts(total=3, succeeded=1, failed=2))
        assert job.error is not None
        assert job.error.kind == "lost"
        assert rig.executions() == {"made": 1, "held": 1, "next": 1}
        assert rig.client.retry(job_id).requeued == 2
        assert rig.wait(job_id).state is JobState.SUCCEEDED


def test_killed_daemon_asks_where_told_to(tmp_path: Path) -> None:
    """We expect the job to be held back with a reason until somebody resumes it."""
    with a_rig(tmp_path) as rig:
        job_id = _held_and_killed(rig, "ask")
        rig.restart()
        rig.run("other")
        job = rig.client.job(job_id)
        assert job.paused is not None
        assert (job.paused.reason, job.paused.author) == ("interrupted", "stokerd")
        assert job.items == ItemCounts(total=3, pending=3)
        assert [event.job.paused for event in rig.events(JobPaused)] == [job.paused]
        assert rig.client.resume(job_id).was_paused
        assert rig.wait(job_id).state is JobState.SUCCEEDED
        assert rig.executions() == {"made": 2, "held": 2, "next": 1, "other": 1}


def _held_and_killed(rig: Rig, on_interrupt: str) -> str:
    """A job of three items whose run of the first two was cut short by a kill -9."""
    gate = rig.gate()
    job_id = rig.submit("made", gate.item("held"), "next", on_interrupt=on_interrupt, batch_size=2)
    gate.wait()
    rig.kill()
    gate.open()
    return job_id


def test_cancel_of_a_killed_daemon_goes_on(rig: Rig) -> None:
    """We expect a job that was being cancelled when its daemon was killed to be cancelled by the next one."""
    job_id = rig.submit({"prompt": "stuck", "do": "stop"}, "b", on_interrupt="fail")
    wait_for(lambda: rig.executed() == ["stuck"])
    rig.client.cancel(job_id)
    rig.restart()
    job = rig.wait(job_id)
    assert (job.state, job.items) == (JobState.CANCELLED, ItemCounts(total=2, cancelled=2))


def test_summaries_of_what_has_just_ended(rig: Rig) -> None:
    """We expect a stopping daemon to leave a summary of each job that is over, also where one can't be written."""
    gate = rig.gate()
    blocked = rig.submit("made", gate.item("held"), batch_size=1)
    gate.wait()
    (folder,) = (rig.data_dir / "outputs").glob(f"*/{blocked}")
    (folder / "batch_info.json").mkdir()
    jobs = [rig.submit(str(n)) for n in range(30)]
    gate.open()
    rig.wait(jobs[-1])
    rig.stop()
    assert {path.parent.name for path in folder.parent.glob("*/batch_info.json") if path.is_file()} == set(jobs)
    (folder / "batch_info.json").rmdir()
    rig.restart()
    wait_for((folder / "batch_info.json").is_file)
