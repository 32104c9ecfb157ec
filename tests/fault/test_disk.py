"""A disk that is full or read-only: nothing accepted is lost, people are told why, and work goes on by itself."""

import subprocess
import sys
from pathlib import Path

import pytest
from tests.fault.disks import small_disk
from tests.system.daemons import Rig, a_rig
from tests.worker.processes import wait_for

from stoker_client.errors import StorageUnavailable


def test_a_full_disk_delays_and_loses_nothing(tmp_path: Path) -> None:
    """We expect that what runs and what waits is done once there is room, at no attempt, and a submit is refused."""
    with small_disk(tmp_path / "data") as disk, a_rig(tmp_path) as rig:
        gate = rig.gate()
        job_id = rig.submit(gate.item("first"), *(f"item {number}" for number in range(30)))
        gate.wait()
        disk.fill()
        with pytest.raises(StorageUnavailable) as refused:
            rig.submit(*("x" * 1000 for _ in range(2000)))
        assert "disk is full" in refused.value.message
        assert refused.value.retry_after_s
        gate.open()
        wait_for(lambda: _is_held_up(rig, "No space left"))
        assert not rig.client.health().ready
        assert rig.client.snapshot().queue.paused is None
        disk.free()
        assert rig.wait(job_id).items.succeeded == 31
        wait_for(lambda: rig.client.health().ready)
        assert {item.attempts for item in rig.items(job_id)} == {1}
        assert set(rig.executions().values()) == {1}
        rig.run("afterwards")


def test_full_outputs_hold_up_the_lane_only(tmp_path: Path) -> None:
    """We expect that jobs are taken in while only the outputs' disk is full, and a cancel ends what waits for it."""
    with small_disk(tmp_path / "data" / "outputs") as disk, a_rig(tmp_path) as rig:
        disk.fill()
        doomed = rig.submit("doomed")
        wait_for(lambda: _is_held_up(rig, "No space left"))
        kept = rig.submit("kept")
        rig.client.cancel(doomed)
        assert rig.wait(doomed).state == "cancelled"
        wait_for(lambda: _is_held_up(rig, "No space left"))
        disk.free()
        assert rig.wait(kept).state == "succeeded"
        assert rig.executions() == {"doomed": 1, "kept": 1}


def test_outputs_that_turn_read_only_wait(tmp_path: Path) -> None:
    """We expect that an output waits until its read-only file system takes it, and its item ran once."""
    with small_disk(tmp_path / "data" / "outputs") as disk, a_rig(tmp_path) as rig:
        disk.forbid_writes()
        job_id = rig.submit("a", "b")
        wait_for(lambda: _is_held_up(rig, "Read-only"))
        disk.allow_writes()
        assert rig.wait(job_id).items.succeeded == 2
        assert rig.executions() == {"a": 1, "b": 1}


def test_a_daemon_stops_although_its_disk_is_full(tmp_path: Path) -> None:
    """We expect that a stop does not wait for room, and what could not be stored is made by the next daemon."""
    with small_disk(tmp_path / "data") as disk, a_rig(tmp_path) as rig:
        gate = rig.gate()
        job_id = rig.submit(gate.item("late"))
        gate.wait()
        disk.fill()
        gate.open()
        wait_for(lambda: _is_held_up(rig, "No space left"))
        rig.stop()
        disk.free()
        rig.restart()
        assert rig.wait(job_id).state == "succeeded"
        assert rig.items(job_id)[0].attempts == 1


def test_a_daemon_does_not_start_on_a_full_disk(tmp_path: Path) -> None:
    """We expect exit code 4 and the file that does not fit, and a start once there is room."""
    with small_disk(tmp_path / "data") as disk:
        disk.fill()
        command = [
            sys.executable,
            "-m",
            "stoker_daemon",
            "--data-dir",
            str(disk.path),
            "--control",
            "tcp://127.0.0.1:0",
        ]
        done = subprocess.run([*command, "--events", "tcp://127.0.0.1:0"], capture_output=True, text=True, timeout=60)
        assert done.returncode == 4
        assert "stoker.sqlite3: the disk is full" in done.stderr
        assert "Traceback" not in done.stderr
        disk.free()
        with a_rig(tmp_path) as rig:
            assert rig.run("a").state == "succeeded"


def _is_held_up(rig: Rig, why: str) -> bool:
    """Whether health and the lane's state both say so."""
    findings = [finding.detail for finding in rig.client.health().findings if not finding.ok]
    (lane,) = rig.client.snapshot().lanes
    return why in lane.held_up and any(why in detail for detail in findings)
