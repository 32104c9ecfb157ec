"""From no keys to a client on its own: `stokerd keys`, `stoker connect`, `stoker doctor`, and what each refuses."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.clients.cli.running import Ran, run_process
from tests.worker.processes import wait_for

from stoker_client.private_daemon import PrivateDaemon
from stoker_daemon.admin.commands import keys

ANYWHERE = "tcp://0.0.0.0:0"


def stokerd(data_dir: Path, *args: str) -> Ran:
    """Run `stokerd` to its end, its keys in this process."""
    if args[0] == "keys":
        done = CliRunner().invoke(keys, [*args[1:], "--data-dir", str(data_dir)])
        return Ran(done.exit_code, done.stdout, done.stderr)
    command = [sys.executable, "-m", "stoker_daemon", "--data-dir", str(data_dir), *args]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    return Ran(ended.returncode, ended.stdout, ended.stderr)


def test_from_no_keys_to_a_client(tmp_path: Path) -> None:
    """We expect a daemon for all addresses to start once it has keys, and one command to make a client of somebody."""
    data_dir, home, file = tmp_path / "data", str(tmp_path / "home"), tmp_path / "ann.key"
    refused = stokerd(data_dir, "--control", ANYWHERE, "--events", ANYWHERE)
    assert (refused.code, "stokerd keys init" in refused.err) == (5, True)
    assert stokerd(data_dir, "keys", "init").code == 0
    first = stokerd(data_dir, "keys", "init").out
    with Anywhere(data_dir) as daemon:
        at = "tcp://127.0.0.1:" + daemon.control.rpartition(":")[2]
        assert stokerd(data_dir, "keys", "add", "ann", "--endpoint", at, "--file", str(file)).code == 0
        assert file.stat().st_mode & 0o777 == 0o600

        def ask(*args: str) -> Ran:
            return run_process(*args, STOKER_ENDPOINT="", STOKER_KEY="", XDG_CONFIG_HOME=home)

        connected = ask("connect", str(file), "--json")
        assert connected.json["role"] == "submit"
        assert Path(connected.json["kept"]).stat().st_mode & 0o777 == 0o600
        checks = {check["part"]: check for check in ask("doctor", "--json").json["checks"]}
        assert checks["you"]["detail"] == "ann, with the role submit, by the key of ann; nobody can listen in"
        assert checks["events"]["ok"]
        assert ask("generate", "a dragon", "--wait", "--json").code == 0
        assert stokerd(data_dir, "keys", "list").out.split()[:2] == ["ann", "submit"]
        assert stokerd(data_dir, "keys", "revoke", "ann").code == 0
        wait_for(lambda: ask("ping").code == 6)
        assert "does not know this key" in ask("doctor").out
        assert ask("connect", "--forget").code == 0
        assert "takes only clients with a key" in run_process("ping", "--endpoint", at, XDG_CONFIG_HOME=home).err
    assert first == stokerd(data_dir, "keys", "init").out
    assert first != stokerd(data_dir, "keys", "init", "--replace").out


def test_a_key_of_ones_own(tmp_path: Path) -> None:
    """We expect a client that made its own pair to come in once its public key was let in, and no secret to travel."""
    data_dir, home, file = tmp_path / "data", str(tmp_path / "home"), tmp_path / "ann.key"
    assert stokerd(data_dir, "keys", "init").code == 0

    def connect(*args: str) -> Ran:
        return run_process("connect", str(file), "--json", *args, STOKER_KEY="", XDG_CONFIG_HOME=home)

    public = connect("--make").json["public_key"]
    assert file.stat().st_mode & 0o777 == 0o600
    assert "lacks the daemon's key: add --server KEY" in connect().error["message"]
    with Anywhere(data_dir) as daemon:
        at = "tcp://127.0.0.1:" + daemon.control.rpartition(":")[2]
        added = stokerd(data_dir, "keys", "add", "ann", "--role", "view", "--public", public, "--endpoint", at)
        assert added.code == 0
        server = added.out.rpartition("--server '")[2].rstrip("'\n")
        wait_for(lambda: connect("--endpoint", at, "--server", server).code == 0)
        shape = connect("--endpoint", at, "--server", server).json
        assert (shape["name"], shape["role"]) == ("ann", "view")
        assert run_process("ping", "--json", STOKER_ENDPOINT="", XDG_CONFIG_HOME=home).json["endpoint"] == at
    secret = file.read_text().rpartition('"')[0].rpartition('"')[2]
    assert len(secret) == 40
    assert not [path for path in data_dir.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]
    assert connect("--make").code == 2
    assert connect("--server", "short").code == 2
    for name, key, says in (
        ("bob", public, "that is the key of ann"),
        ("bob", "short", "not a public key"),
        ("bob", "p" * 40 + "\n", "not a public key"),
        ("b", server, "the daemon"),
    ):
        refused = stokerd(data_dir, "keys", "add", name, "--public", key)
        assert (refused.code, says in refused.err) == (4, True)


class Anywhere(PrivateDaemon):
    """A daemon on all addresses of this host."""

    def __init__(self, data_dir: Path, *args: str) -> None:
        super().__init__(data_dir, args=args)
        self.control = self.events = ANYWHERE


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["add", "Ann"], "can't be a client's name"),
        (["add", "../ann"], "can't be a client's name"),
        (["add", "local"], "and not local"),
        (["add", "bob"], "bob has a key already"),
        (["revoke", "ann"], "nobody is called 'ann'; with a key: bob"),
    ],
)
def test_what_keys_refuses(tmp_path: Path, args: list[str], says: str) -> None:
    """We expect a reason with exit code 4, and nobody to be let in or put out by it."""
    data_dir, file = tmp_path / "data", str(tmp_path / "bob.key")
    assert stokerd(data_dir, "keys", "add", "bob", "--role", "view", "--file", file).code == 0
    done = stokerd(data_dir, "keys", *args, *(["--file", str(tmp_path / "new.key")] if args[0] == "add" else []))
    assert done.code == 4
    again = stokerd(data_dir, "keys", "add", "ann", "--file", file)
    assert (again.code, "bob.key exists" in again.err) == (4, True)
    assert says in done.err
    listed = json.loads(stokerd(data_dir, "keys", "list", "--json").out)
    assert [(key["name"], key["role"]) for key in listed["keys"]] == [("bob", "view")]


def test_a_secret_that_others_can_read_keeps_the_daemon_from_starting(tmp_path: Path) -> None:
    """We expect exit code 2 and the file named when the daemon's own keys are readable by others."""
    data_dir = tmp_path / "data"
    stokerd(data_dir, "keys", "init")
    (data_dir / "keys" / "server.toml").chmod(0o644)
    done = stokerd(data_dir, "--control", ANYWHERE, "--events", ANYWHERE)
    assert done.code == 2
    assert "server.toml: others than its owner may read it (mode 0644)" in done.err


def test_insecure_is_warned_about(tmp_path: Path) -> None:
    """We expect a daemon that lets anyone in to say so in its log, and one on loopback to say nothing of it."""
    for args, is_warned in ((["--insecure"], True), ([], False)):
        daemon = Anywhere(tmp_path / "data", *args) if is_warned else PrivateDaemon(tmp_path / "data", args=args)
        with daemon:
            pass
        log = tmp_path / "data" / "stokerd.log"
        assert ("Anyone who reaches this machine" in log.read_text()) == is_warned
        log.unlink()
