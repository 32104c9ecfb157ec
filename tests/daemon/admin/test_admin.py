"""What an operator runs on the host: a backup while work goes on, a restore, a check that finds what is wrong."""

import json
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from tests.fault.disks import small_disk
from tests.system.daemons import a_rig

DATABASE = "stoker.sqlite3"


def stokerd(*args: object) -> "subprocess.CompletedProcess[str]":
    """Run a command of `stokerd` to its end."""
    command = [sys.executable, "-m", "stoker_daemon", *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def query(database: Path, sql: str) -> list[tuple[object, ...]]:
    """What a database says."""
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute(sql).fetchall()


def test_the_commands_are_listed_in_whole_sentences() -> None:
    """We expect the help of `stokerd` to cut the summary of no command."""
    _, _, listed = stokerd("--help").stdout.partition("Commands:\n")
    lines = listed.partition("\n\n")[0].splitlines()
    assert len(lines) == 7
    assert [line for line in lines if line.endswith("...") or not line.endswith(".")] == []


def test_a_backup_of_a_busy_queue_is_whole(tmp_path: Path) -> None:
    """We expect one private, sound file with all that was accepted, although a run is at work meanwhile."""
    backup = tmp_path / "backup.sqlite3"
    with a_rig(tmp_path) as rig:
        rig.run("a", "b")
        gate = rig.gate()
        rig.submit(gate.item("held"), "waiting")
        gate.wait()
        done = stokerd("backup", backup, "--data-dir", rig.data_dir)
        assert (done.returncode, done.stderr) == (0, "")
        gate.open()
    assert "2 jobs, 4 items, 2 artifacts" in done.stdout
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.glob("backup*")) == ["backup.sqlite3"]
    assert query(backup, "PRAGMA integrity_check") == [("ok",)]
    assert query(backup, "SELECT count(*) FROM items") == [(4,)]


def test_a_backup_that_does_not_fit_leaves_nothing(tmp_path: Path) -> None:
    """We expect exit code 4, the disk that is full named, and the earlier backup of that name untouched."""
    with a_rig(tmp_path) as rig, small_disk(tmp_path / "small", "200k") as disk:
        backup = disk.path / "backup.sqlite3"
        assert stokerd("backup", backup, "--data-dir", rig.data_dir).returncode == 0
        earlier = backup.read_bytes()
        done = stokerd("backup", backup, "--data-dir", rig.data_dir)
        assert done.returncode == 4
        assert f"{backup}: the disk is full" in done.stderr
        assert [path.name for path in disk.path.iterdir()] == ["backup.sqlite3"]
        assert backup.read_bytes() == earlier


def test_a_restored_queue_goes_on(tmp_path: Path) -> None:
    """We expect that a daemon on a restored queue does what was waiting, under a new instance id, the old one kept."""
    backup = tmp_path / "backup.sqlite3"
    with a_rig(tmp_path) as rig:
        rig.client.pause()
        job_id = rig.submit("a", "b")
        before = rig.client.hello().daemon.instance_id
        assert stokerd("--data-dir", rig.data_dir, "backup", backup).returncode == 0
        rig.client.cancel(job_id)
        later = rig.submit("after the backup")
        rig.stop()
        done = stokerd("restore", backup, "--data-dir", rig.data_dir)
        assert (done.returncode, done.stderr) == (0, "")
        (aside,) = rig.data_dir.glob(f"{DATABASE}.before-restore-*")
        assert str(aside) in done.stdout
        assert ("queued", later) in query(aside, "SELECT state, job_id FROM jobs")
        rig.restart()
        assert rig.client.hello().daemon.instance_id != before
        rig.client.resume()
        assert rig.wait(job_id).items.succeeded == 2


def test_nothing_is_restored_under_a_running_daemon(tmp_path: Path) -> None:
    """We expect a refusal with exit code 4 that names the process, and a queue as it was."""
    backup = tmp_path / "backup.sqlite3"
    with a_rig(tmp_path) as rig:
        assert stokerd("backup", backup, "--data-dir", rig.data_dir).returncode == 0
        job_id = rig.submit("a")
        done = stokerd("restore", backup, "--data-dir", rig.data_dir)
        assert done.returncode == 4
        assert f"pid {rig.daemon.pid}" in done.stderr
        assert rig.wait(job_id).state == "succeeded"


@pytest.mark.parametrize("content", [b"", b"no database at all" * 300, None])
def test_what_is_no_backup_is_refused(tmp_path: Path, content: bytes | None) -> None:
    """We expect that neither another file nor a damaged backup takes the place of the queue."""
    with a_rig(tmp_path) as rig:
        rig.run("a")
    backup = tmp_path / "backup.sqlite3"
    if content is None:
        assert stokerd("backup", backup, "--data-dir", rig.data_dir).returncode == 0
        whole = bytearray(backup.read_bytes())
        whole[8192:24576] = b"\x5a" * 16384
        content = bytes(whole)
    backup.write_bytes(content)
    before = query(rig.data_dir / DATABASE, "SELECT * FROM meta ORDER BY key")
    done = stokerd("restore", backup, "--data-dir", rig.data_dir)
    assert done.returncode == 4
    assert str(backup) in done.stderr
    assert "Traceback" not in done.stderr
    assert query(rig.data_dir / DATABASE, "SELECT * FROM meta ORDER BY key") == before
    assert not list(rig.data_dir.glob("*.restoring*"))


def test_a_check_of_a_sound_queue_finds_nothing(tmp_path: Path) -> None:
    """We expect exit code 0 and only `ok`, while a run is at work and after the end."""
    with a_rig(tmp_path) as rig:
        gate = rig.gate()
        job_id = rig.submit(gate.item("held"), "waiting", {"prompt": "bad", "do": "fail"})
        gate.wait()
        assert _not_ok(rig.data_dir) == {}
        gate.open()
        rig.wait(job_id)
    assert _not_ok(rig.data_dir, "--checksums") == {}


@pytest.mark.parametrize(
    ("damage", "part"),
    [
        ("UPDATE items SET state = 'failed' WHERE idx = 0", "job counts"),
        ("DELETE FROM heads", "queue by model"),
        ("UPDATE lots SET ready = ready + 1", "waiting items"),
        ("UPDATE totals SET pending = 7", "queue totals"),
        ("UPDATE items SET state = 'running' WHERE idx = 0", "running items"),
        ("INSERT INTO attempts VALUES ('none', 0, 99, 0, NULL, NULL)", "database"),
        ("PRAGMA user_version = 99", "schema"),
    ],
)
def test_a_check_finds_what_disagrees(tmp_path: Path, damage: str, part: str) -> None:
    """We expect exit code 1 and the part that is wrong, with what to do, for each way in which rows can disagree."""
    with a_rig(tmp_path) as rig:
        rig.client.pause()
        rig.submit("a", "b")
        rig.stop()
        copy = tmp_path / "copy"
        assert stokerd("backup", tmp_path / DATABASE, "--data-dir", rig.data_dir).returncode == 0
    copy.mkdir()
    (tmp_path / DATABASE).rename(copy / DATABASE)
    with closing(sqlite3.connect(copy / DATABASE)) as connection, connection:
        connection.execute(damage)
    assert ";" in _not_ok(copy)[part] or ":" in _not_ok(copy)[part]


def test_a_check_finds_lost_and_changed_outputs(tmp_path: Path) -> None:
    """We expect that a file that is gone is found by a glance, and one with other bytes of that size by checksums."""
    with a_rig(tmp_path) as rig:
        rig.run("a", "b")
        rig.stop()
        first, second = sorted(rig.data_dir.glob("outputs/*/*/files/*"))
        kept = second.read_bytes()
        second.write_bytes(bytes(len(kept)))
        assert _not_ok(rig.data_dir) == {}
        assert second.name in _not_ok(rig.data_dir, "--checksums")["outputs"]
        text = first.read_bytes()
        first.unlink()
        assert first.name in _not_ok(rig.data_dir)["outputs"]
        first.write_bytes(text)
        second.write_bytes(kept)


def test_a_client_may_ask_for_a_glance(tmp_path: Path) -> None:
    """We expect that a client, and so `stoker doctor`, hears of a lost output from a daemon at work."""
    with a_rig(tmp_path) as rig:
        job_id = rig.run("a").job_id
        assert [finding.part for finding in rig.client.check() if not finding.ok and finding.part != "disk"] == []
        (file,) = rig.data_dir.glob(f"outputs/*/{job_id}/files/*")
        kept = file.read_bytes()
        file.unlink()
        assert file.name in next(finding.detail for finding in rig.client.check() if finding.part == "outputs")
        file.write_bytes(kept)


def test_a_check_of_nothing_says_so(tmp_path: Path) -> None:
    """We expect exit code 4 and the option to use where there is no database."""
    done = stokerd("check", "--data-dir", tmp_path)
    assert done.returncode == 4
    assert "--data-dir" in done.stderr


def _not_ok(data_dir: Path, *options: str) -> dict[str, str]:
    """What a check finds wrong, but for a test machine's own disk."""
    done = stokerd("check", "--json", "--data-dir", data_dir, *options)
    findings = [finding for finding in json.loads(done.stdout)["findings"] if finding["part"] != "disk"]
    wrong = {finding["part"]: finding["detail"] for finding in findings if not finding["ok"]}
    assert done.returncode == int(bool(wrong)), done.stdout
    return wrong
