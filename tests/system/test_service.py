"""stokerd installed on a machine, under a systemd of its own, from its start to its removal."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Generator
from pathlib import Path

import pytest
from tests.system.daemons import REPOSITORY
from tests.system.machine import Machine, build
from tests.worker.processes import wait_for

UNIT = REPOSITORY / "systemd/stokerd.service"
EXPOSURE = 3.0
"""What `systemd-analyze security` may say at most; docs/operations.md explains each open point."""


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Generator[Machine]:
    """A machine on which `make install` has been run, booted, with a watchdog that does not wait long."""
    folder = tmp_path_factory.mktemp("machine")
    machine = build(folder)
    machine.run_unbooted("make", "-C", "/src", "install")
    machine.write("/etc/systemd/system/stokerd.service.d/test.conf", "[Service]\nWatchdogSec=3\n")
    with machine.booted():
        yield machine
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze (Debian: systemd)")
def test_unit_leaves_little_open() -> None:
    """We expect an exposure of at most 3.0 of 10 from the unit as it is."""
    assert exposure(UNIT) <= EXPOSURE


def exposure(unit: Path) -> float:
    """How much a unit leaves open, by the tool's own count."""
    said = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", unit],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout
    found = re.search(r"Overall exposure level for stokerd.service: ([\d.]+)", said)
    assert found is not None
    return float(found[1])


def test_life_of_the_service(machine: Machine) -> None:
    """We expect a service that is ready when started, works, tells, survives kills and hangs, and stops in order."""
    _starts_and_works(machine)
    _comes_back_with_its_work(machine)
    _is_ended_when_it_hangs(machine)
    _stops_in_order(machine)
    _is_removed_but_for_its_data(machine)


def _starts_and_works(machine: Machine) -> None:
    verified = machine.run("systemd-analyze", "verify", "--recursive-errors=no", "stokerd.service")
    assert verified == ""
    machine.run("systemctl", "start", "stokerd")  # returns when it is ready
    assert machine.property("ActiveState") == "active"
    job = json.loads(machine.run("stoker", "generate", "a red dragon", "an owl", "--wait", "--json"))
    assert job["items"]["succeeded"] == 2
    wait_for(lambda: machine.property("StatusText") == "idle")
    told = machine.run("journalctl", f"STOKER_JOB={job['job_id']}", "-o", "cat", "--no-pager")
    assert [line.split(" job=")[0] for line in told.splitlines()] == ["a job was accepted", "a job ended"]
    doctor = json.loads(machine.run("stoker", "doctor", "--json"))
    assert [check for check in doctor["checks"] if not check["ok"]] == []
    assert machine.property("OOMPolicy") == "continue"
    owner = machine.run("stat", "-c", "%U %a", "/var/lib/stoker", "/etc/stoker", "/etc/stoker/stokerd.toml")
    assert owner.splitlines() == ["stoker 750", "root 750", "root 640"]


def _comes_back_with_its_work(machine: Machine) -> None:
    machine.run("stoker", "pause", "--reason", "a test")
    machine.run("stoker", "generate", "a fox", "a cat", "--name", "kept")
    machine.run("systemctl", "kill", "--kill-whom=main", "--signal=KILL", "stokerd")
    wait_for(lambda: machine.property("NRestarts") == "1" and machine.property("ActiveState") == "active")
    machine.run("stoker", "resume")
    assert "2 succeeded" in machine.run("stoker", "watch", "kept")


def _is_ended_when_it_hangs(machine: Machine) -> None:
    machine.run("systemctl", "kill", "--kill-whom=main", "--signal=STOP", "stokerd")
    wait_for(lambda: machine.property("NRestarts") == "2" and machine.property("ActiveState") == "active")
    assert "Watchdog timeout" in machine.run("journalctl", "-u", "stokerd", "-o", "cat", "--no-pager")


def _stops_in_order(machine: Machine) -> None:
    machine.run("systemctl", "stop", "stokerd")
    assert machine.property("Result") == "success"
    assert machine.property("ActiveState") == "inactive"
    journal = machine.run("journalctl", "-u", "stokerd", "-o", "cat", "--no-pager")
    assert "stopping reason=told to by SIGTERM" in journal


def _is_removed_but_for_its_data(machine: Machine) -> None:
    machine.run("make", "-C", "/src", "uninstall")
    for path in ("opt/stoker", "usr/local/bin/stokerd", "etc/systemd/system/stokerd.service"):
        assert not os.path.lexists(machine.root / path)
    assert (machine.root / "var/lib/stoker/stoker.sqlite3").exists()
    assert Path(machine.root / "etc/stoker/stokerd.toml").exists()
