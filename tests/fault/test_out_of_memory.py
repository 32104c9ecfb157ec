"""Memory that runs out, in a model's process and in the daemon: nothing is lost, and people see where."""

import resource
from pathlib import Path

import pytest
from tests.clients.cli.running import run_process
from tests.system.daemons import FAULTS, a_rig, config

from stoker_client import Client
from stoker_client.errors import DaemonUnavailable, QueueFull
from stoker_protocol.jobs import JobState


def test_a_model_that_takes_more_than_it_may(tmp_path: Path) -> None:
    """We expect its item to fail as `oom` with the limit and the key that raises it, seen in items, status and log."""
    with a_rig(tmp_path, config(engines=FAULTS + "memory_limit_mb = 400\n")) as rig:
        eater = rig.submit("a", {"prompt": "b", "do": "eat_and_abort"}, "c", max_attempts=2)
        assert rig.wait(eater).items.failed == 1
        assert rig.states(eater) == ["succeeded", "failed", "succeeded"]
        seen = {what: run_process(what, eater, endpoint=rig.daemon.control).out for what in ("items", "status")}
        log = (rig.data_dir / "stokerd.log").read_text()
        for text in (*seen.values(), log):
            assert "oom" in text
            assert "of its 400 MB" in text
            assert "memory_limit_mb" in text
        assert rig.run("after").state is JobState.SUCCEEDED


def test_a_daemon_without_memory_refuses_and_goes_on(tmp_path: Path) -> None:
    """We expect large requests not to be taken, check and log to name the limit, and all to be well afterwards.

    Those who ask for little are served meanwhile.
    """
    with a_rig(tmp_path) as rig:
        rig.client.pause()
        kept = rig.submit("kept")
        rig.client.check()
        limits = resource.prlimit(rig.daemon.pid, resource.RLIMIT_AS)
        resource.prlimit(rig.daemon.pid, resource.RLIMIT_AS, (addresses_of(rig.daemon.pid) + (3 << 20), limits[1]))
        with Client(rig.daemon.control, timeout_s=1) as greedy, pytest.raises((QueueFull, DaemonUnavailable)):
            submit_more_and_more(greedy)
        (limit,) = (finding for finding in rig.client.check() if finding.part == "memory limit")
        resource.prlimit(rig.daemon.pid, resource.RLIMIT_AS, limits)
        assert not limit.ok
        assert "`ulimit -v`" in limit.advice
        log = (rig.data_dir / "stokerd.log").read_text()
        assert "out of memory: a " in log
        assert "see `stoker doctor`, part memory limit" in log
        for job in rig.client.jobs():
            if job.job_id != kept:
                rig.client.cancel(job.job_id)
        rig.client.resume()
        assert rig.wait(kept).state is JobState.SUCCEEDED
        assert rig.run("after").state is JobState.SUCCEEDED


def submit_more_and_more(client: Client) -> None:
    """Requests of one to four megabytes."""
    for kilobytes in range(1000, 4000, 500):
        client.submit(["x" * 1000 for _ in range(kilobytes)])


def addresses_of(pid: int) -> int:
    """Bytes of addresses that a process uses."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[0]) * resource.getpagesize()
