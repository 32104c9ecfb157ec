"""`stoker doctor`: what is not well, and what to do."""

import socket

import pytest
from tests.clients.cli.conftest import Stoker
from tests.fakes.daemon import FakeDaemon
from tests.fakes.world import NOW_MS

from stoker_client.cli import doctor

UNWELL = {
    "v": 1,
    "re": "health",
    "ready": False,
    "findings": [{"part": "engine sprites", "ok": False, "detail": "it is down"}],
}


@pytest.fixture(autouse=True)
def fixture_ahead_s(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock here goes as that of the fake daemon does."""
    monkeypatch.setattr(doctor, "time", lambda: NOW_MS / 1000)


def parts(shape: dict[str, list[dict[str, object]]]) -> dict[object, object]:
    """Whether each part is well."""
    return {check["part"]: check["ok"] for check in shape["checks"]}


def test_all_is_well(stoker: Stoker) -> None:
    """We expect exit code 0 and each part looked at: the way there, versions, events, the daemon's own findings."""
    ran = stoker("doctor", "--json")
    assert ran.code == 0
    assert parts(ran.json) == dict.fromkeys(
        ["daemon", "version", "you", "your clock", "events", "store", "database"], True
    )
    out = stoker("doctor").out
    assert "All is well" in out
    assert not [line for line in out.splitlines() if line.startswith("ok") and len(line.split()) < 3]


def test_nobody_answers(stoker: Stoker, daemon: FakeDaemon) -> None:
    """We expect exit code 5 and how to start a daemon."""
    daemon.stop()
    ran = stoker("doctor", "--timeout", "0.3", "--json")
    assert ran.code == 5
    assert parts(ran.json) == {"daemon": False}
    assert "stokerd" in ran.json["checks"][0]["advice"]


def test_the_daemons_own_findings_count(stoker: Stoker, daemon: FakeDaemon) -> None:
    """We expect exit code 5 when the daemon itself finds that a part is not well, and its words."""
    daemon.answer_instead("health", UNWELL)
    ran = stoker("doctor", "--json")
    assert ran.code == 5
    assert [part for part, ok in parts(ran.json).items() if not ok] == ["engine sprites"]
    daemon.answer_instead("health", UNWELL)
    assert "it is down" in stoker("doctor").out


def test_a_pause_that_was_forgotten(stoker: Stoker) -> None:
    """We expect a paused queue to be told of with who paused it, why, and how it goes on, which is no fault."""
    stoker("pause", "--reason", "gaming")
    ran = stoker("doctor")
    assert ran.code == 0
    assert "??  queue" in ran.out
    assert "by local: gaming" in ran.out
    assert "stoker resume lets it go on" in ran.out


def test_another_program_on_the_port(stoker: Stoker) -> None:
    """We expect to be told that who listens there is no stokerd, or hangs, and how to find out who it is."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        at = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        ran = stoker("doctor", "--endpoint", at, "--timeout", "0.5", "--json")
    assert ran.code == 5
    assert "does not speak as stokerd does" in ran.json["checks"][0]["advice"]
    assert "ss -ltnp" in ran.json["checks"][0]["advice"]


def test_jobs_of_an_engine_that_is_gone(stoker: Stoker, daemon: FakeDaemon) -> None:
    """We expect exit code 5 and what to do when jobs wait for an engine that is configured no more."""
    daemon.add_job("yours", engine="comfyui")
    daemon.answer_instead("health", UNWELL)
    (check,) = (check for check in stoker("doctor", "--json").json["checks"] if check["part"] == "engine comfyui")
    assert (check["ok"], check["advice"]) == (False, "name it again, or cancel them")


@pytest.mark.parametrize(("ahead_s", "way"), [(7200, "2 h 00 min behind"), (-90, "1 min 30 s ahead of")])
def test_clocks_that_differ(stoker: Stoker, monkeypatch: pytest.MonkeyPatch, ahead_s: int, way: str) -> None:
    """We expect exit code 5, by how much the daemon's clock differs from that here, and how both are kept right."""
    monkeypatch.setattr(doctor, "time", lambda: NOW_MS / 1000 + ahead_s)
    ran = stoker("doctor", "--json")
    assert ran.code == 5
    (check,) = (check for check in ran.json["checks"] if check["part"] == "your clock")
    assert way in check["detail"]
    assert "timedatectl" in check["advice"]


def test_versions_that_differ(stoker: Stoker, monkeypatch: pytest.MonkeyPatch) -> None:
    """We expect both versions and advice, but no fault, while they speak the same protocol."""
    monkeypatch.setattr(doctor, "version", "0.0.{}".format)
    ran = stoker("doctor")
    assert ran.code == 0
    assert "??  version" in ran.out
    assert "client 0.0.stoker, daemon" in ran.out
    assert "install the same version" in ran.out
    assert "All is well; 1 part could be better." in ran.out


def test_silent_events_are_noticed(stoker: Stoker, daemon: FakeDaemon) -> None:
    """We expect exit code 5 and the port to look at when the events socket can't be reached."""
    daemon.world.event_endpoints = ["tcp://127.0.0.1:1"]
    ran = stoker("doctor", "--json")
    assert ran.code == 5
    (events,) = (check for check in ran.json["checks"] if check["part"] == "events")
    assert not events["ok"]
    assert "port 1 " in events["advice"]
