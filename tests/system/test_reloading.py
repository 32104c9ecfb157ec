"""A daemon reads its configuration again while it works: by the verb, by SIGHUP, and not if it makes no sense."""

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.daemon.test_systemd import Manager
from tests.system.daemons import Rig, a_rig, config
from tests.worker.processes import wait_for

from stoker_client.errors import BadRequest
from stoker_protocol.jobs import ItemState, JobState


def rewrite(rig: Rig, text: str) -> None:
    """Change the daemon's configuration file."""
    (rig.folder / "stokerd.toml").write_text(text)


def test_what_holds_from_now_on(rig: Rig) -> None:
    """We expect a new time limit to end the next run, work in hand to go on, and the rest to be said to wait."""
    gate = rig.gate()
    job_id = rig.submit(gate.item("before"))
    gate.wait()
    rewrite(rig, config(timeout_s=0.3, max_pending=5).replace("[engines.faults]", "[engines.faults]\nlane = 'other'"))
    changes = {change.key: change for change in rig.client.reload().changes}
    assert changes["execution.timeout_s"].after == "0.3"
    assert {key for key, change in changes.items() if not change.is_applied} == {
        "execution.max_pending",
        "engines.faults.lane",
    }
    gate.open()
    assert rig.wait(job_id).state is JobState.SUCCEEDED
    slow = rig.submit({"prompt": "slow", "gate": str(rig.folder / "closed")}, max_attempts=1)
    assert rig.wait(slow).state is JobState.FAILED
    (item,) = rig.items(slow)
    assert item.state is ItemState.FAILED
    assert item.error is not None
    assert item.error.kind == "timeout"
    assert [change.key for change in rig.client.reload().changes] == [
        key for key, change in changes.items() if not change.is_applied
    ]


def test_a_configuration_that_makes_no_sense(rig: Rig) -> None:
    """We expect a refusal that says what is wrong, and the old configuration to stay in force."""
    rewrite(rig, "[execution]\ntimeout_s = -1\n")
    with pytest.raises(BadRequest, match="timeout_s = -1"):
        rig.client.reload()
    assert rig.run("a").state is JobState.SUCCEEDED


def test_by_signal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """We expect SIGHUP to do the same, a service manager to hear of it, and a broken file to end nothing."""
    manager = Manager(f"{tmp_path}/notify")
    monkeypatch.setenv("NOTIFY_SOCKET", manager.address)
    heard: list[str] = []

    def hears(*messages: str) -> bool:
        heard.extend(manager.heard())
        return [m for m in heard if m.startswith(("READY", "RELOADING"))][-len(messages) :] == [*messages]

    with a_rig(tmp_path) as rig:
        wait_for(lambda: hears("READY=1"))
        heard.clear()
        for text in (config(timeout_s=7), "broken ="):
            rewrite(rig, text)
            os.kill(rig.daemon.pid, signal.SIGHUP)
            wait_for(lambda: hears("READY=1") and any(m.startswith("RELOADING=1") for m in heard))
            heard.clear()
        log = (rig.data_dir / "stokerd.log").read_text()
        assert '"key": "execution.timeout_s"' in log
        assert "the configuration is not used" in log
        assert rig.run("a").state is JobState.SUCCEEDED
    manager.close()


def test_a_terminal_that_is_closed(tmp_path: Path) -> None:
    """We expect a daemon at a terminal to stop in an orderly way when that is closed, rather than to read anew."""
    ours, theirs = os.openpty()
    command = [sys.executable, "-m", "stoker_daemon", f"--data-dir={tmp_path}"]
    command += [f"--{socket}=tcp://127.0.0.1:0" for socket in ("control", "events")]
    take_terminal = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0)"
    take_terminal += "; os.execv(sys.argv[1], sys.argv[1:])"
    daemon = subprocess.Popen(
        [sys.executable, "-c", take_terminal, *command],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    try:
        said = b""
        while b"Ctrl+C stops it" not in said:
            assert select.select([ours], [], [], 60)[0]
            said += os.read(ours, 4096)
        os.close(ours)
        assert daemon.wait(60) == 0
        assert not list(tmp_path.glob("*.json"))  # where its sockets are, as long as it is there
    finally:
        daemon.kill()
        daemon.wait()
