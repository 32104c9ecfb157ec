"""The power is cut: whatever a client was told is on the disk, and what is there agrees with itself."""

import errno
from contextlib import closing, suppress
from pathlib import Path

import pytest
from tests.fault.audit import audit, connect
from tests.fault.failing_disk import FailingDisk
from tests.fault.power_cut import PowerCut
from tests.system.daemons import Rig
from tests.worker.processes import wait_for

from stoker_client.errors import StorageUnavailable

DATABASE = "*/stoker.sqlite3"
LOG = f"{DATABASE}-wal"
HALF_A_LOG = 50
"""Large items that fill more than half of the database's log; a full one is emptied into the database."""


def test_what_was_told_survives_a_power_cut(rig_on_disk: tuple[Rig, FailingDisk], tmp_path: Path) -> None:
    """We expect each job and outcome in what is left by a cut right after it was told, or at any time in between."""
    told: list[tuple[int, str, str]] = []
    rig, disk = rig_on_disk
    for number in range(6):
        job_id = rig.submit(f"{number} " + "x" * 20_000, "b", "c")
        told.append((disk.trace.stat().st_size, job_id, "queued"))
        state = rig.wait(job_id).state
        told.append((disk.trace.stat().st_size, job_id, state))
    rig.kill()
    end = disk.trace.stat().st_size
    cuts = sorted({at for at, _, _ in told} | set(range(told[0][0], end, end // 25)))
    cutting = PowerCut(disk.root, disk.trace)
    for cut in cuts:
        left = tmp_path / f"cut at {cut}"
        left.mkdir()
        cutting.leave(cut, left)
        audit(left)
        states = jobs(left)
        for at, job_id, state in told:
            assert at > cut or job_id in states, f"job {job_id} is lost"
            assert at > cut or state == "queued" or states[job_id] == state, f"the end of job {job_id} is lost"


@pytest.mark.parametrize("is_killed", [False, True])
@pytest.mark.parametrize(
    ("pattern", "count"), [(LOG, 1), (DATABASE, HALF_A_LOG), ("*/outputs/*.part", 1), ("*/files", 1)]
)
def test_a_sync_that_failed_is_not_trusted(
    rig_on_disk: tuple[Rig, FailingDisk], tmp_path: Path, pattern: str, count: int, *, is_killed: bool
) -> None:
    """We expect a later outcome to survive a power cut though what a failed sync should have written is not there."""
    items = [f"{number} " + "x" * 50_000 for number in range(count)]
    rig, disk = rig_on_disk
    rig.run(*items)
    disk.fail("fsync", errno.EIO, pattern)
    failed = disk.trace.stat().st_size
    with suppress(StorageUnavailable):
        rig.submit(*items)
    wait_for(lambda: b"lost" in disk.trace.read_bytes()[failed:])
    if is_killed:
        rig.kill()
    disk.heal()
    if is_killed:
        rig.restart()
    job = rig.run("afterwards")
    told = disk.trace.stat().st_size
    rig.kill()
    left = tmp_path / "left"
    left.mkdir()
    PowerCut(disk.root, disk.trace).leave(told, left)
    audit(left)
    assert jobs(left)[job.job_id] == "succeeded"


def jobs(data_dir: Path) -> dict[str, str]:
    """The state of each job in a directory."""
    with closing(connect(data_dir)) as connection:
        return dict(connection.execute("SELECT job_id, state FROM jobs").fetchall())
