"""What an operator sees of a host in trouble: status, doctor and log name the cause and what to do."""

import resource
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.clients.cli.running import run_process
from tests.fault.disks import small_disk
from tests.system.daemons import Rig, a_rig
from tests.worker.processes import wait_for

from stoker_client.errors import StorageUnavailable


class Seen(NamedTuple):
    """What people look at, as they see it."""

    status: str
    doctor: str
    log: str


def look(rig: Rig) -> Seen:
    """Look at all of it; the doctor must not say that all is well."""
    doctor = run_process("doctor", endpoint=rig.daemon.control)
    assert doctor.code == 5
    log = (rig.data_dir / "stokerd.log").read_text() if (rig.data_dir / "stokerd.log").exists() else ""
    return Seen(run_process("status", endpoint=rig.daemon.control).out, doctor.out, log)


def is_held_up(rig: Rig) -> bool:
    """Whether its lane waits for something."""
    return bool(rig.client.snapshot().lanes[0].held_up)


def test_a_full_disk_under_the_queue(tmp_path: Path) -> None:
    """We expect the database's path, that the disk is full, and to make room; nothing of it once there is room."""
    with small_disk(tmp_path / "data") as disk, a_rig(tmp_path) as rig:
        disk.fill()
        with pytest.raises(StorageUnavailable):
            rig.submit(*("x" * 1000 for _ in range(2000)))
        seen = look(rig)
        for text in (seen.status, seen.doctor):
            assert f"{rig.data_dir}/stoker.sqlite3: the disk is full" in text
            assert "free some space" in text
        disk.free()
        wait_for(lambda: rig.client.health().ready)
        assert "the disk is full" not in run_process("status", endpoint=rig.daemon.control).out


def test_full_outputs(tmp_path: Path) -> None:
    """We expect the file that does not fit, and the command that makes room, in all three."""
    with small_disk(tmp_path / "data" / "outputs") as disk, a_rig(tmp_path) as rig:
        disk.fill()
        job_id = rig.submit("a")
        wait_for(lambda: is_held_up(rig))
        for text in look(rig):
            assert f"{rig.data_dir}/outputs/" in text
            assert "No space left on device; make room" in text
            assert "stoker outputs clean" in text
        disk.free()
        assert rig.wait(job_id).state == "succeeded"


def test_outputs_that_turned_read_only(tmp_path: Path) -> None:
    """We expect the file, where to look for the cause, and of the doctor the folder that can't be written."""
    with small_disk(tmp_path / "data" / "outputs") as disk, a_rig(tmp_path) as rig:
        disk.forbid_writes()
        job_id = rig.submit("a")
        wait_for(lambda: is_held_up(rig))
        seen = look(rig)
        for text in seen:
            assert "Read-only file system; see the kernel's log (dmesg)" in text
        assert "!!  permissions" in seen.doctor
        assert "not mounted read-only" in seen.doctor
        disk.allow_writes()
        assert rig.wait(job_id).state == "succeeded"


def test_no_file_handles_left(tmp_path: Path) -> None:
    """We expect what is not there, where its limit is raised, and that the daemon still answers who is connected."""
    with a_rig(tmp_path) as rig:
        rig.run("before")
        soft, hard = resource.prlimit(rig.daemon.pid, resource.RLIMIT_NOFILE)
        rig.client.check()
        resource.prlimit(rig.daemon.pid, resource.RLIMIT_NOFILE, (3, hard))
        job_id = rig.submit("a")
        wait_for(lambda: is_held_up(rig))
        (lane,) = (finding for finding in rig.client.health().findings if finding.part == "lane gpu")
        (files,) = (finding for finding in rig.client.check() if finding.part == "open files")
        log = (rig.data_dir / "stokerd.log").read_text()
        resource.prlimit(rig.daemon.pid, resource.RLIMIT_NOFILE, (soft, hard))
        for text in (lane.detail, log):
            assert "Too many open files; raise LimitNOFILE" in text
        assert not files.ok
        assert "LimitNOFILE=65536" in files.advice
        assert rig.wait(job_id).state == "succeeded"
