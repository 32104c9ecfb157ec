"""A daemon starts where scripts expect it, or says in one sentence which file is in its way and what to do."""

import json
import os
import pty
import sqlite3
import subprocess
import sys
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from tests.fault.audit import connect
from tests.system.daemons import Rig, a_rig, config
from tests.worker.processes import BOUND_S, is_alive, wait_for

from stoker_client import Client

LOCAL = ["--control", "tcp://127.0.0.1:0", "--events", "tcp://127.0.0.1:0"]


def _stokerd(*args: object) -> list[str]:
    return [sys.executable, "-m", "stoker_daemon", *map(str, args)]


@contextmanager
def _started(*args: object) -> Generator["subprocess.Popen[str]"]:
    """A daemon that is killed at the end if it still runs."""
    with subprocess.Popen(_stokerd(*args), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as daemon:
        try:
            yield daemon
        finally:
            daemon.kill()


def _fail(*args: object) -> tuple[int, str]:
    """How a daemon ends that can't start: its exit code and its one line of complaint."""
    ended = subprocess.run(_stokerd(*args), capture_output=True, text=True, timeout=BOUND_S, check=False)
    assert ended.stdout == ""
    (line,) = ended.stderr.splitlines()
    return ended.returncode, line


def _database(data_dir: Path, *statements: str) -> Path:
    """A database that an ordinary daemon has made, then changed by these."""
    with a_rig(data_dir.parent) as rig:
        rig.run("a")
    assert rig.data_dir == data_dir
    with closing(sqlite3.connect(data_dir / "stoker.sqlite3", isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return data_dir / "stoker.sqlite3"


def test_ready_daemon_says_where_it_is(tmp_path: Path) -> None:
    """We expect the first endpoints in `endpoints.json`, and in the same words on stdout, as soon as it answers."""
    ipc = f"ipc://{tmp_path}/control.sock"
    with _started("--data-dir", tmp_path / "new" / "data", "--control", ipc, *LOCAL) as daemon:
        assert daemon.stdout is not None
        line = daemon.stdout.readline()
        said = json.loads(line)
        assert (tmp_path / "new/data/endpoints.json").read_text() == line
        assert said["control"] == ipc
        assert said["events"].startswith("tcp://127.0.0.1:")
        with Client(ipc, timeout_s=BOUND_S) as client:
            assert [engine.name for engine in client.engines()] == ["sprites"]
            assert client.hello().role == "admin"
        daemon.terminate()
        assert daemon.wait(BOUND_S) == 0
        assert daemon.stdout.read() == ""
    assert not (tmp_path / "new/data/endpoints.json").exists()


def test_ready_daemon_greets_a_person(tmp_path: Path) -> None:
    """We expect words instead of JSON at a terminal: where it is, where all is kept, and what to do next."""
    ours, theirs = pty.openpty()
    command = _stokerd("--data-dir", tmp_path, *LOCAL)
    with subprocess.Popen(command, stdout=theirs, stderr=theirs) as daemon:
        os.close(theirs)
        try:
            wait_for((tmp_path / "endpoints.json").exists)
            control = json.loads((tmp_path / "endpoints.json").read_text())["control"]
            said = os.read(ours, 65536).decode()
        finally:
            daemon.kill()
            os.close(ours)
    assert f"ready at {control}" in said
    assert str(tmp_path) in said
    assert f"--endpoint {control}" in said
    assert "{" not in said


def test_endpoints_of_a_killed_daemon_are_forgotten(tmp_path: Path) -> None:
    """We expect that who waits for `endpoints.json` never reads those of a daemon that was killed."""
    slow = config(engines='[engines.slow]\nmodel = "tests.models.faults:NeverDescribes"\npython_path = ["{}"]').format(
        Path(__file__).parents[2]
    )
    (tmp_path / "slow.toml").write_text(slow)
    (tmp_path / "endpoints.json").write_text("{}")
    with _started("--data-dir", tmp_path, "--config", tmp_path / "slow.toml", *LOCAL):
        wait_for(lambda: list((tmp_path / "workers").glob("*.pid")))
        assert not (tmp_path / "endpoints.json").exists()


def test_second_daemon_on_the_directory(rig: Rig) -> None:
    """We expect it to name the file and the pid of the first one, which goes on as if nothing had been."""
    code, line = _fail("--data-dir", rig.data_dir, *LOCAL)
    assert code == 4
    assert f"{rig.data_dir}/stokerd.lock" in line
    assert f"pid {rig.daemon.pid}" in line
    assert "--data-dir" in line
    rig.run("a")


def test_database_of_a_newer_version(tmp_path: Path) -> None:
    """We expect the file, both versions and the way out to be named, and the file to stay as it is."""
    file = _database(tmp_path / "data", "PRAGMA user_version = 99")
    before = file.read_bytes()
    code, line = _fail("--data-dir", file.parent, *LOCAL)
    assert code == 4
    assert f"{file}: the database has schema 99" in line
    assert "restore a backup" in line
    assert file.read_bytes() == before


def test_database_of_another_program(tmp_path: Path) -> None:
    """We expect a file that is not ours to be left alone."""
    file = tmp_path / "stoker.sqlite3"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE recipes (name TEXT)")
        connection.commit()
    code, line = _fail("--data-dir", tmp_path, *LOCAL)
    assert code == 4
    assert f"{file}: this is another program's database" in line
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("SELECT name FROM sqlite_schema").fetchall() == [("recipes",)]


def _overwrite(file: Path, offset: int, data: bytes) -> None:
    with file.open("r+b") as opened:
        opened.seek(offset)
        opened.write(data)


@pytest.mark.parametrize("damage", ["garbage", "cut", "page", "schema"])
def test_damaged_database(tmp_path: Path, damage: str) -> None:
    """We expect the file and the way out to be named, wherever in the file the damage is."""
    file = _database(tmp_path / "data")
    size = file.stat().st_size
    match damage:
        case "garbage":
            file.write_bytes(b"\xa5" * size)
        case "cut":
            file.write_bytes(file.read_bytes()[: size // 2])
        case "page":
            with closing(connect(file.parent)) as connection:
                query = "SELECT rootpage FROM sqlite_schema WHERE name = 'runs'"
                (page,), (page_size,) = (
                    connection.execute(query).fetchone(),
                    connection.execute("PRAGMA page_size").fetchone(),
                )
            _overwrite(file, (page - 1) * page_size, b"\xa5" * page_size)
        case _:
            _overwrite(file, 100, b"\xa5" * 2000)
    code, line = _fail("--data-dir", file.parent, *LOCAL)
    assert code == 4
    assert f"{file}: the database is damaged" in line
    assert "restore a backup" in line


def test_directory_that_is_a_file(tmp_path: Path) -> None:
    """We expect the path to be named."""
    (tmp_path / "file").touch()
    code, line = _fail("--data-dir", tmp_path / "file" / "data", *LOCAL)
    assert code == 4
    assert str(tmp_path / "file") in line
    assert "--data-dir" in line
    assert "Errno" not in line


def test_directory_that_takes_no_file() -> None:
    """We expect the file that can't be made to be named, and the way out."""
    code, line = _fail("--data-dir", "/proc", *LOCAL)
    assert code == 4
    assert "/proc/stokerd.lock" in line
    assert "--data-dir" in line
    assert "Errno" not in line


@pytest.mark.parametrize("endpoint", ["tcp://0.0.0.0:0", "tcp://*:5577", "tcp://[::]:0", "tcp://192.0.2.1:5577"])
@pytest.mark.parametrize("option", ["--control", "--events"])
def test_address_that_others_could_reach(tmp_path: Path, option: str, endpoint: str) -> None:
    """We expect it to be refused before anything is made, with the two ways out."""
    code, line = _fail("--data-dir", tmp_path / "data", *LOCAL, option, endpoint)
    assert code == 5
    assert endpoint in line
    assert "127.0.0.1" in line
    assert "--insecure" in line
    assert not (tmp_path / "data").exists()


def test_port_that_is_taken(rig: Rig, tmp_path: Path) -> None:
    """We expect the endpoint to be named, nothing to be made, and the daemon that has it not to notice."""
    for options in (["--control", rig.daemon.control], ["--events", rig.daemon.events]):
        code, line = _fail(
            "--data-dir", tmp_path / "other", *(LOCAL[2:] if "--control" in options else LOCAL[:2]), *options
        )
        assert code == 5
        assert options[1] in line
        assert not (tmp_path / "other").exists()
    rig.run("a")


def test_unknown_key_in_the_config(tmp_path: Path) -> None:
    """We expect the file, the key and the nearest one that there is to be named."""
    file = tmp_path / "stokerd.toml"
    file.write_text("[execution]\ntimeout = 5\n")
    code, line = _fail("--data-dir", tmp_path / "data", "--config", file, *LOCAL)
    assert code == 2
    assert f"{file}: there is no key execution.timeout; did you mean timeout_s" in line


def test_killed_while_it_starts(rig: Rig) -> None:
    """We expect a signal that comes before the daemon is ready to end it like any other."""
    rig.stop()
    with _started("--data-dir", rig.data_dir, *LOCAL) as daemon:
        wait_for(lambda: (rig.data_dir / "stokerd.lock").read_text() == str(daemon.pid))
        wait_for(lambda: list((rig.data_dir / "workers").glob("*.pid")))
        daemon.terminate()
        _, errors = daemon.communicate(timeout=BOUND_S)
        assert daemon.returncode == 0
        assert "Traceback" not in errors
    assert not is_alive(daemon.pid)
