"""What a daemon depends on besides its queue, broken for each finding: it names the cause and what to do."""

import os
import resource
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import zmq
from tests.daemon.sqlite.test_migrating import OLD

from stoker_daemon.admin import surroundings
from stoker_daemon.admin.surroundings import Named, Surroundings, survey
from stoker_daemon.clock import Jumps
from stoker_daemon.sqlite.migrating import open_database
from stoker_daemon.zmq import keyring
from stoker_daemon.zmq.security import Locks
from stoker_protocol.replies import Finding
from stoker_protocol.requests import Role

NOBODY = 65534
HOUR_S = 3600.0
WELL = Finding("configuration", ok=True)
Survey = Callable[..., dict[str, Finding]]


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """The folder of a daemon, with its database and keys."""
    folder = tmp_path / "data"
    for each in ("outputs", "blobs", "workers"):
        (folder / each).mkdir(parents=True)
    open_database(folder).close()
    public, secret = (key.decode() for key in zmq.curve_keypair())
    keyring.write_server(folder, keyring.ServerKeys(public, secret))
    keyring.write_client(folder, keyring.Client("ann", Role.SUBMIT, zmq.curve_keypair()[0].decode()))
    return folder


def look(data_dir: Path, *named: Named, endpoints: tuple[str, ...] = (), **said: object) -> dict[str, Finding]:
    """All findings by the part that they are about."""
    facts = {"jumped_s": lambda: 0.0, "configuration": lambda: WELL, "locks": Locks(), **said}
    around = Surroundings(data_dir, endpoints, named=named, now_ms=now_ms, **facts)  # pyright: ignore[reportArgumentType]
    return {finding.part: finding for finding in survey(around)}


def now_ms() -> int:
    """The time."""
    return time.time_ns() // 1_000_000


def test_all_is_well(data_dir: Path) -> None:
    """We expect each part to be well on a host as it should be, and nothing advised but by the host's clock."""
    found = look(data_dir, endpoints=("tcp://127.0.0.1:5577",))
    assert [part for part, finding in found.items() if not finding.ok] == []
    assert {part for part, finding in found.items() if finding.advice} <= {"clock", "open files", "memory limit"}
    assert found["keys"].detail == "the daemon's own, and those of 1 clients"


@pytest.mark.parametrize(
    ("file", "mode", "detail", "advice"),
    [
        ("server.toml", 0o644, "others than its owner may read it", ""),
        ("clients/ann.toml", 0o666, "may change it (mode 0666)", "chmod go-w"),
        ("clients", 0o777, "may change it (mode 0777)", "chmod go-w"),
    ],
)
def test_keys_that_others_can_use(data_dir: Path, file: str, mode: int, detail: str, advice: str) -> None:
    """We expect the file or folder of keys that is open to others, and the command that closes it."""
    path = data_dir / "keys" / file
    path.chmod(mode)
    keys = look(data_dir)["keys"]
    assert not keys.ok
    assert str(path) in keys.detail
    assert detail in keys.detail
    assert advice in keys.advice
    command = (keys.advice or keys.detail[keys.detail.index("chmod") :]).split(",")[0]
    subprocess.run(["/bin/sh", "-c", command], check=True, timeout=30)
    assert look(data_dir)["keys"].ok


def test_a_key_that_lets_nobody_in(data_dir: Path) -> None:
    """We expect the file and what is wrong in it."""
    (data_dir / "keys/clients/ann.toml").write_text('role = "boss"')
    keys = look(data_dir)["keys"]
    assert not keys.ok
    assert "ann.toml: role = 'boss'" in keys.detail
    assert keys.advice == "mend or remove that file"


@contextmanager
def as_nobody(*folders: Path) -> Generator[None]:
    """Be a user to whom nothing belongs but these folders; a plain user already is one."""
    if os.geteuid() != 0:
        yield
        return
    for folder in folders:
        os.chown(folder, NOBODY, -1)
        for parent in folder.parents:
            if parent.stat().st_uid == 0 and parent.name.startswith("pytest"):
                parent.chmod(0o755)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_folder_that_can_not_be_written(data_dir: Path) -> None:
    """We expect the folder, the user who can't write there, and how it becomes his."""
    for folder in (data_dir, data_dir.parent, *(data_dir / each for each in ("outputs", "blobs", "workers"))):
        folder.chmod(0o755)
    (data_dir / "outputs").chmod(0o555)
    with as_nobody(data_dir, data_dir / "outputs", data_dir / "keys"):
        found = look(data_dir)["permissions"]
    assert not found.ok
    assert found.detail.startswith(f"{data_dir / 'outputs'}: ")
    assert "can't write there" in found.detail
    assert f"chown -R {surroundings._called(NOBODY if os.geteuid() == 0 else os.geteuid())}" in found.advice


def test_a_folder_that_all_can_write(data_dir: Path) -> None:
    """We expect the folder in which anyone could change the queue, and how to forbid it."""
    data_dir.chmod(0o777)
    found = look(data_dir)["permissions"]
    assert (found.ok, found.advice) == (False, f"chmod o-w {data_dir}")
    assert "may change it (mode 0777)" in found.detail


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_folder_of_somebody_else(data_dir: Path) -> None:
    """We expect whose it is, who the daemon is, and the command that gives it back."""
    os.chown(data_dir, NOBODY, -1)
    found = look(data_dir)["permissions"]
    assert (found.ok, found.advice) == (False, f"chown root {data_dir}")
    assert f"{data_dir} belongs to {surroundings._called(NOBODY)}, and the daemon is root" in found.detail


def test_what_the_configuration_names(data_dir: Path, tmp_path: Path) -> None:
    """We expect the key of what is missing, can't be run, or is a secret that others can read."""
    key = tmp_path / "key"
    gone = look(data_dir, Named("recipes", tmp_path / "none"))["permissions"]
    assert (gone.ok, gone.detail) == (False, f"recipes: {tmp_path / 'none'} is not there")
    assert gone.advice == "mend that, or correct recipes"
    key.write_text("sk-1")
    key.chmod(0o644)
    python = look(data_dir, Named("engines.a.python", key, os.X_OK))["permissions"]
    assert not python.ok
    assert f"can't run {key} (mode 0644)" in python.detail
    secret = look(data_dir, Named("engines.b.api_key_file", key, is_secret=True))["permissions"]
    assert (secret.ok, secret.advice) == (False, f"chmod go-rwx {key}")
    assert "engines.b.api_key_file: " in secret.detail
    key.chmod(0o600)
    assert look(data_dir, Named("engines.b.api_key_file", key, is_secret=True))["permissions"].ok


def test_endpoints_for_all_the_world(data_dir: Path) -> None:
    """We expect a daemon that lets strangers in to be told of with the way to keys, and one with keys to be well."""
    anywhere = ("tcp://0.0.0.0:5577", "tcp://127.0.0.1:5578")
    found = look(data_dir, endpoints=anywhere, locks=Locks(insecure=True))["endpoints"]
    assert "anyone who reaches this machine may do anything" in found.detail
    assert "stokerd keys init" in found.advice
    keys = look(data_dir, endpoints=anywhere, locks=Locks(keyring.read_server(data_dir)))["endpoints"]
    assert (keys.ok, keys.advice) == (True, "")
    assert "tcp://0.0.0.0:5577 (keys)" in keys.detail


def test_a_socket_whose_file_is_gone(data_dir: Path, tmp_path: Path) -> None:
    """We expect the path that clients look for in vain, and a restart as the way out."""
    path = tmp_path / "control"
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(path))
        assert look(data_dir, endpoints=(f"ipc://{path}",))["endpoints"].ok
        path.unlink()
        found = look(data_dir, endpoints=(f"ipc://{path}",))["endpoints"]
    assert (found.ok, found.advice) == (False, "restart the daemon")
    assert str(path) in found.detail


def test_open_files_near_their_limit(data_dir: Path) -> None:
    """We expect how many are open of how many, and where the limit is raised; also when not even one more can be."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    opened = [os.dup(0) for _ in range(100)]
    limit = opened[-1] + 3
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
        found = look(data_dir)["open files"]
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
        none_left = look(data_dir)["open files"]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for each in opened:
            os.close(each)
    assert not found.ok
    assert f"of {limit} may be open: soon no client can connect" in found.detail
    assert "LimitNOFILE" in found.advice
    assert not none_left.ok
    assert "Too many open files" in none_left.detail
    assert "LimitNOFILE" in none_left.advice


@pytest.mark.parametrize(("hours", "way"), [(2, "2 h forward"), (-50, "2 days back")])
def test_a_clock_that_was_set(data_dir: Path, hours: int, way: str) -> None:
    """We expect how far and which way it was set while the daemon ran, and that a restart is what makes it right."""
    ahead_ms = 0
    jumps = Jumps(lambda: now_ms() + ahead_ms)
    assert look(data_dir, jumped_s=jumps.jumped_s)["clock"].ok
    ahead_ms = hours * 3_600_000
    found = look(data_dir, jumped_s=jumps.jumped_s)["clock"]
    assert not found.ok
    assert way in found.detail
    assert "restart the daemon" in found.advice


def test_a_clock_that_was_set_back_before(data_dir: Path) -> None:
    """We expect jobs of the future to be told of: the clock was set back while no daemon ran."""
    shutil.copyfile(OLD[-1], data_dir / "stoker.sqlite3")
    with closing(open_database(data_dir)) as connection:
        connection.execute("UPDATE jobs SET created_ms = ?", (now_ms() + 2 * 86_400_000,))
    found = look(data_dir)["clock"]
    assert not found.ok
    assert "2 days in the future" in found.detail
    assert "`date`" in found.advice


def test_a_clock_that_nobody_keeps_right(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """We expect a hint how to have it kept right, which is no fault, and none where the kernel says nothing of it."""
    monkeypatch.setattr(surroundings, "_is_synchronised", lambda: False)
    found = look(data_dir)["clock"]
    assert (found.ok, found.advice) == (True, "have it kept right: timedatectl set-ntp true")
    monkeypatch.setattr(surroundings, "_is_synchronised", lambda: None)
    assert look(data_dir)["clock"].advice == ""


def test_memory_that_is_nearly_used_up(data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """We expect the use and the limit of the daemon's own control group, whom the kernel ended, and what to raise."""
    files = {"max": 1000 << 20, "current": 980 << 20, "stat": "anon 1\ninactive_file 0", "events": "oom 2\noom_kill 0"}
    for name, text in files.items():
        (tmp_path / f"memory.{name}").write_text(f"{text}\n")
    monkeypatch.setattr(surroundings, "_cgroup", lambda: tmp_path)
    found = look(data_dir)["memory limit"]
    assert (found.ok, found.detail) == (False, "980 of 1000 MiB are used: the kernel will end processes")
    assert "MemoryMax=" in found.advice
    (tmp_path / "memory.stat").write_text(f"inactive_file {500 << 20}\n")
    assert look(data_dir)["memory limit"].ok
    (tmp_path / "memory.events").write_text("oom 2\noom_kill 2\n")
    ended = look(data_dir)["memory limit"]
    assert ended.ok
    assert "the kernel has ended 2 processes here for want of memory" in ended.detail
    assert "memory_limit_mb" in ended.advice
