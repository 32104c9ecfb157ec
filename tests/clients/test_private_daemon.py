"""A daemon of one's own starts, dies, comes back and ends with whoever made it."""

import json
import os
import sys
from pathlib import Path

import pytest

from stoker_client import Client, private_daemon
from stoker_client.errors import DaemonUnavailable, InvalidState
from stoker_client.private_daemon import PrivateDaemon


def test_start_and_stop(tmp_path: Path, config_args: list[str]) -> None:
    """We expect that it answers as soon as it is started, where its file says, and is gone after the block."""
    with PrivateDaemon(tmp_path / "new" / "home", args=config_args) as daemon:
        endpoints = json.loads((tmp_path / "new" / "home" / "endpoints.json").read_text())
        assert endpoints == {"control": daemon.control, "events": daemon.events}
        with Client(daemon.control) as client:
            assert client.hello().daemon.pid == daemon.pid
    assert not _is_alive(daemon.pid)


def test_restart(tmp_path: Path, config_args: list[str]) -> None:
    """We expect that after a kill it starts on the same ports with the same jobs."""
    with PrivateDaemon(tmp_path, args=config_args) as daemon, Client(daemon.control) as client:
        before = client.hello()
        job_id = client.submit(["a dragon"]).job_id
        daemon.restart()
        after = client.hello()
        assert client.job(job_id).items.total == 1
    assert (after.events, after.daemon.instance_id) == (before.events, before.daemon.instance_id)
    assert after.daemon.pid != before.daemon.pid
    assert not _is_alive(before.daemon.pid)


def test_last_words(tmp_path: Path) -> None:
    """We expect that a daemon which can't start is quoted, and that its log is named."""
    daemon = PrivateDaemon(tmp_path, args=["--config", str(tmp_path / "missing.toml")])
    with pytest.raises(DaemonUnavailable, match=r"ended at once: .*missing\.toml") as caught:
        daemon.start()
    assert str(tmp_path / "stokerd.log") in caught.value.hint


def test_too_slow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """We expect that one which does not become ready in time is ended."""
    monkeypatch.setattr(private_daemon, "START_TIMEOUT_S", 0.0)
    daemon = PrivateDaemon(tmp_path)
    with pytest.raises(DaemonUnavailable, match="not ready after 0 s: it said nothing"):
        daemon.start()
    assert not _is_alive(daemon.pid)


def test_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """We expect that on a bare install it says what to install, with the exit code for that."""
    monkeypatch.setattr(private_daemon, "find_spec", _find_nothing)
    with pytest.raises(DaemonUnavailable, match="not installed") as caught:
        PrivateDaemon(tmp_path).start()
    assert (caught.value.exit_code, caught.value.hint) == (5, 'pip install "stoker[daemon]"')
    assert list(tmp_path.iterdir()) == []


def test_another_interpreter(tmp_path: Path) -> None:
    """We expect that an interpreter which has no stokerd is quoted too."""
    bare = tmp_path / "python"
    bare.symlink_to(Path(sys.executable).resolve())
    with pytest.raises(DaemonUnavailable, match="No module named"):
        PrivateDaemon(tmp_path, python=str(bare)).start()


def test_before_the_start(tmp_path: Path) -> None:
    """We expect that one which was never started has no process, and can be stopped and killed all the same."""
    daemon = PrivateDaemon(tmp_path)
    daemon.stop()
    daemon.kill()
    with pytest.raises(InvalidState):
        _ = daemon.pid


def _find_nothing(_: str) -> None:
    return None


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
