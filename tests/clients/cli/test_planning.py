"""`stoker plan` and `stoker why`: what is to come, in words and in a table."""

from tests.clients.cli.conftest import Stoker
from tests.fakes.ahead import TOKEN
from tests.fakes.daemon import FakeDaemon


def test_plan_for_people(stoker: Stoker) -> None:
    """We expect the end and the gain first, then each wave with its batches and its reason, and how to have it so."""
    lines = stoker("plan").out.splitlines()
    assert lines[0].startswith("20 items in 4 runs and 2 waves: done in 54 s, at ")
    assert lines[1] == (
        "first come, first served: 4 min 30 s (5.0 times as long); one item at a time: 1 min 21 s (1.5 times as long)"
    )
    head, first, second = lines[3:6]
    assert head.split() == ["WAVE", "START", "BY", "MODEL", "ITEMS", "BATCHES", "LOAD", "RUN", "WHY"]
    assert "sprites/plain" in first
    assert "2 x 8, 1 x 3" in first
    assert first.endswith("its model is loaded, and stays until it has worked long enough to be worth its load")
    assert second.split()[4:9] == ["1", "1", "x", "1", "12"]
    assert "More waits than was looked at." in lines
    assert lines[-1].endswith(f"stoker plan --execute {TOKEN}")


def test_plan_for_scripts(stoker: Stoker) -> None:
    """We expect every run, and the token."""
    shape = stoker("plan", "--json").json
    assert (shape["token"], shape["is_paused"], shape["fifo_s"]) == (TOKEN, True, 270.0)
    assert shape["waves"][0]["runs"][1]["shares"] == [
        {"job_id": "dragons", "items": 7},
        {"job_id": "owls", "items": 1},
    ]


def test_plan_carried_out(stoker: Stoker) -> None:
    """We expect to be told what goes on, and of a stale plan exit code 4."""
    assert stoker("plan", "--execute", TOKEN).out == "4 runs over 20 items go on as planned.\n"
    refused = stoker("plan", "--execute", "old")
    assert refused.code == 4
    assert "what waits has changed" in refused.err


def test_why(stoker: Stoker, daemon: FakeDaemon) -> None:
    """We expect one sentence with the reason, then when it starts, and when at the latest."""
    daemon.add_job("foxes")
    out = stoker("why", "foxes").out
    assert out.startswith("It is behind 2 runs: nothing else waits. It starts in about 50 s, at ")
    assert "at the latest" in out
    shape = stoker("why", "foxes", "--json").json
    assert (shape["delay"], shape["start_s"], shape["latest"]) == (
        "behind",
        {"p50": 50.0, "p90": 58.0},
        "2023-11-14T23:13:20.000Z",
    )
    assert stoker("why", "nobody").code == 3


def test_status_tells_when_jobs_should_be_done(stoker: Stoker, daemon: FakeDaemon) -> None:
    """We expect two times for a job that is in the plan, and none for another; for scripts the seconds."""
    daemon.add_job("dragons")
    daemon.add_job("others")
    rows = {line.split()[0]: line for line in stoker("status").out.splitlines() if line.strip()}
    assert rows["JOB"].split()[-3:] == ["ENDS", "SURELY", "BY"]
    assert rows["dragons"].count(":") == 4
    assert rows["others"].count(":") == 0
    assert "done at" in stoker("status", "dragons").out
    assert stoker("status", "--json").json["expected"]["dragons"]["done_s"] == {"p50": 32.0, "p90": 36.0}
