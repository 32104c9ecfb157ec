"""`stoker top`: all that goes on, in one look, and on the whole screen until Ctrl+C."""

import re

import pytest
from tests.clients.cli.conftest import Stoker
from tests.clients.cli.running import terminal
from tests.fakes.daemon import FakeDaemon


def test_one_look(stoker: Stoker, daemon: FakeDaemon) -> None:
    """We expect GPU, queue, waves, rates and events under each other, and that many jobs are cut."""
    for number in range(12):
        daemon.add_job(f"job{number}", 2)
    out = stoker("top", "--once").out
    places = [out.index(part) for part in ("stoker at tcp://", "NVIDIA", "job0", "Last five minutes")]
    assert places == sorted(places)
    assert "... and 2 jobs more" in out
    assert "job11" not in out.split("Lately")[0]


def test_for_scripts(stoker: Stoker, daemon: FakeDaemon) -> None:
    """We expect what `status --json` has, and beside it rates, waves and events."""
    daemon.add_job("one", 3)
    shape = stoker("top", "--once", "--json").json
    assert [job["job_id"] for job in shape["jobs"]] == ["one"]
    assert {"queue", "lanes", "rates", "waves", "events"} <= shape.keys()
    assert shape["rates"]["attempts"] >= 0


def test_the_newest_events(stoker: Stoker) -> None:
    """We expect the last few events as sentences, the newest last."""
    assert stoker("pause", "--reason", "lunch").code == 0
    told = stoker("top", "--once").out.split("Lately (stoker watch):\n")[1].splitlines()
    assert re.fullmatch(r"  \d\d:\d\d:\d\d  All work is held back .*: lunch", told[-1])


@pytest.mark.parametrize("by", ["q", "Ctrl+C"])
def test_on_a_terminal(daemon: FakeDaemon, by: str) -> None:
    """We expect the screen to be taken over, to say how one leaves it, and to be given back then."""
    daemon.add_job("one", 3)
    with terminal("top", endpoint=daemon.control) as screen:
        screen.wait_for(lambda seen: "(q leaves)" in seen and "one" in seen)
        if by == "q":
            screen.type("xq")
        else:
            screen.interrupt()
        assert screen.end() == (0 if by == "q" else 130)
        assert screen.screen.count("\x1b[?1049h") == screen.screen.count("\x1b[?1049l") == 1
