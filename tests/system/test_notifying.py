"""A daemon under a service manager says when it is ready, what it does, that it is alive, and when it stops."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.daemon.test_systemd import Manager
from tests.system.daemons import a_rig
from tests.worker.processes import wait_for


def test_from_its_start_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """We expect READY once, food for the watchdog while it works, its work as its status, and STOPPING last."""
    manager = Manager(f"{tmp_path}/notify")
    monkeypatch.setenv("NOTIFY_SOCKET", manager.address)
    monkeypatch.setenv("WATCHDOG_USEC", "300000")
    heard: list[str] = []

    def hears(part: str) -> bool:
        heard.extend(manager.heard())
        return any(part in message for message in heard)

    with a_rig(tmp_path) as rig:
        wait_for(lambda: hears("READY=1"))
        wait_for(lambda: hears("STATUS=idle"))
        gate = rig.gate()
        rig.submit(gate.item("a"), "b")
        gate.wait()
        wait_for(lambda: hears("STATUS=0 items wait, 2 run; gpu running") or hears("STATUS=1 items wait, 1 run; gpu"))
        fed = heard.count("WATCHDOG=1")
        wait_for(lambda: hears("") and heard.count("WATCHDOG=1") > fed)
        gate.open()
    hears("")
    assert heard.count("READY=1") == 1
    assert _last(heard, "STOPPING=1") > _last(heard, "READY=1")
    manager.close()


def _last(heard: list[str], message: str) -> int:
    places: Iterator[int] = (place for place, each in enumerate(heard) if each == message)
    return max(places)
