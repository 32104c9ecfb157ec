"""Daemons of today on databases of earlier versions: they go on where those stopped."""

import shutil
from pathlib import Path

import pytest
from tests.daemon.sqlite.test_migrating import OLD
from tests.system.daemons import Rig, config


@pytest.mark.parametrize("database", OLD, ids=lambda path: path.stem)
def test_a_daemon_goes_on_with_an_old_database(database: Path, tmp_path: Path) -> None:
    """We expect that each job of an old database is there in its state, and what waited is done after the pause."""
    (tmp_path / "data").mkdir()
    shutil.copyfile(database, tmp_path / "data" / "stoker.sqlite3")
    rig = Rig(tmp_path, config(), "")
    rig.daemon.start()
    try:
        jobs = list(rig.client.jobs())
        assert sorted(job.state.value for job in jobs) == [
            "cancelled",
            "failed",
            "queued",
            "queued",
            "running",
            "succeeded",
        ]
        assert next(job for job in jobs if job.name == "pictures").items.succeeded == 2
        (urgent,) = (job for job in jobs if job.state == "running")
        (held,) = (job for job in jobs if job.paused and not job.is_open)
        (opened,) = (job for job in jobs if job.is_open)
        rig.client.cancel(urgent.job_id)
        rig.client.seal(opened.job_id)
        rig.client.resume(opened.job_id)  # idle for as long as the file is old, it may be held back by now
        rig.client.resume(held.job_id)
        rig.client.resume()
        assert [rig.wait(job.job_id).state for job in (opened, held)] == ["succeeded", "succeeded"]
    finally:
        rig.stop()
