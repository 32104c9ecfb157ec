"""A daemon that is out of file handles: those who are connected are served, work waits, and all goes on afterwards."""

import os
import resource
from pathlib import Path

from tests.system.daemons import a_rig
from tests.worker.processes import wait_for

from stoker_client import Client
from stoker_protocol.events import EngineDown


def test_a_daemon_without_file_handles_waits_for_some(tmp_path: Path) -> None:
    """We expect a job to be taken in and to wait, its item executed once, and a new client served, when there are some.

    No file can be opened and no connection accepted meanwhile.
    """
    with a_rig(tmp_path) as rig:
        rig.run("before")
        soft, hard = resource.prlimit(rig.daemon.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(rig.daemon.pid, resource.RLIMIT_NOFILE, (3, hard))
        job_id = rig.submit("meanwhile")
        wait_for(lambda: "Too many open files" in rig.client.snapshot().lanes[0].held_up)
        assert not rig.client.health().ready
        with Client(rig.daemon.control, timeout_s=30) as newcomer:
            resource.prlimit(rig.daemon.pid, resource.RLIMIT_NOFILE, (soft, hard))
            assert newcomer.job(job_id).job_id == job_id
        job = rig.wait(job_id)
        assert (job.state, rig.items(job_id)[0].attempts) == ("succeeded", 1)
        assert rig.executions() == {"before": 1, "meanwhile": 1}


def test_a_daemon_with_few_file_handles_does_each_item_once(tmp_path: Path) -> None:
    """We expect every job to be done, each item executed once, however many files can be opened at its time."""
    with a_rig(tmp_path) as rig:
        rig.run("before")
        limits = resource.prlimit(rig.daemon.pid, resource.RLIMIT_NOFILE)
        for free in range(8):
            resource.prlimit(rig.daemon.pid, resource.RLIMIT_NOFILE, (limit_with(rig.daemon.pid, free), limits[1]))
            job_id = rig.submit(f"a {free}", f"b {free}")
            rig.wait_until(job_id, lambda job: job.state.is_final or rig.client.snapshot().lanes[0].held_up)
            rig.client.check()
            resource.prlimit(rig.daemon.pid, resource.RLIMIT_NOFILE, limits)
            assert rig.wait(job_id).items.succeeded == 2
            assert {item.attempts for item in rig.items(job_id)} == {1}
        assert set(rig.executions().values()) == {1}


def limit_with(pid: int, free: int) -> int:
    """The limit at which a process can open so many more files."""
    used = {int(fd.name) for fd in Path(f"/proc/{pid}/fd").iterdir()}
    limit = 3
    while len(set(range(limit)) - used) < free:
        limit += 1
    return limit


def test_a_model_process_that_cannot_be_started_costs_nothing(tmp_path: Path) -> None:
    """We expect an item whose model process found no handles at first to succeed at its first attempt."""
    with a_rig(tmp_path) as rig:
        rig.run("before")
        _, hard = limits = resource.prlimit(rig.daemon.pid, resource.RLIMIT_NOFILE)
        rig.client.pause()
        job_id = rig.submit("meanwhile")
        resource.prlimit(rig.daemon.pid, resource.RLIMIT_NOFILE, (3, hard))
        os.kill(rig.worker_pid, 9)
        wait_for(lambda: rig.client.engines()[0].state == "down")
        rig.client.resume()
        wait_for(lambda: rig.events(EngineDown))
        resource.prlimit(rig.daemon.pid, resource.RLIMIT_NOFILE, limits)
        assert rig.wait(job_id).state == "succeeded"
        assert rig.items(job_id)[0].attempts == 1
