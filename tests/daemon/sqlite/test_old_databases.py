"""Daemons of today on databases of earlier versions: they go on where those stopped."""

import shutil
from pathlib import Path

import pytest
from tests.daemon.sqlite.test_migrating import OLD, add_migration
from tests.system.daemons import Rig, config
from tests.system.test_keys_commands import stokerd

from stoker_client.errors import DaemonUnavailable
from stoker_daemon.sqlite.copying import verify
from stoker_daemon.sqlite.database import FILE_NAME
from stoker_daemon.sqlite.migrating import newest_schema, open_database

SOUND = ("schema", "database", "job counts", "waiting items", "queue by model", "queue totals", "running items")


def before(data_dir: Path, database: Path) -> Path:
    """The copy that was made of a database of `schema-N.sqlite3` before it was changed."""
    return data_dir / f"{FILE_NAME}.before-schema-{int(database.stem.rpartition('-')[2]) + 1}"


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
        assert rig.run("of today").state == "succeeded"
        found = {finding.part: finding for finding in rig.client.check()}
        assert [part for part in SOUND if not found[part].ok] == []
        assert rig.client.snapshot().queue.pending == 0
        assert len(list(rig.client.jobs())) == len(jobs) + 1
        assert verify(before(rig.data_dir, database))["jobs"] == len(jobs)
    finally:
        rig.stop()


def test_an_older_daemon_leads_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """We expect a daemon that meets a newer database to refuse it and to name the command that brings back the queue.

    The command does so, and the daemon goes on with the jobs that were there before the upgrade.
    """
    rig = Rig(tmp_path, config(), "")
    rig.daemon.start()
    kept = rig.run("kept").job_id
    rig.stop()
    add_migration(monkeypatch, "CREATE TABLE from_the_future (a TEXT) STRICT;")
    open_database(rig.data_dir).close()
    monkeypatch.undo()
    with pytest.raises(DaemonUnavailable) as refused:
        rig.daemon.start()
    copy = rig.data_dir / f"{FILE_NAME}.before-schema-{newest_schema() + 1}"
    command = f"stokerd --data-dir {rig.data_dir} restore {copy}"
    assert f"has schema {newest_schema() + 1}, this stokerd knows up to {newest_schema()}" in refused.value.message
    assert command in refused.value.message
    assert stokerd(rig.data_dir, *command.split()[3:]).code == 0
    rig.daemon.start()
    try:
        assert rig.client.job(kept).state == "succeeded"
        assert rig.run("afterwards").state == "succeeded"
    finally:
        rig.stop()
