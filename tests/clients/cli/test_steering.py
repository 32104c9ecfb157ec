"""`stoker cancel`, `retry`, `pause`, `resume`, `reload`, `shutdown`: what people change."""

import pytest
from tests.clients.cli.conftest import Stoker
from tests.clients.cli.running import run_process, terminal
from tests.fakes.daemon import FakeDaemon

from stoker_protocol.changes import ConfigChange
from stoker_protocol.jobs import ItemState
from stoker_protocol.requests import Cancel, PauseWork, Retry


def test_cancel_says_what_it_did(stoker: Stoker, daemon: FakeDaemon) -> None:
    """We expect each named job to be cancelled, with what was dropped, and a second time that nothing is left."""
    daemon.add_job("one", 3)
    daemon.add_job("two", 1)
    daemon.add_job("other")
    assert stoker("cancel", "one", "two", "--json").json == {
        "jobs": [
            {"job_id": "one", "state": "cancelled", "dropped": 3, "stopping": 0, "closed": False},
            {"job_id": "two", "state": "cancelled", "dropped": 1, "stopping": 0, "closed": False},
        ]
    }
    assert "already" not in stoker("cancel", "one").err
    assert "nothing left to cancel" in stoker("cancel", "one").out
    assert daemon.world.jobs["other"].state == "queued"


@pytest.mark.parametrize(("options", "scope"), [(["--all", "--yes"], "all"), (["--all-queued"], "queued")])
def test_cancel_has_two_scopes(stoker: Stoker, daemon: FakeDaemon, options: list[str], scope: str) -> None:
    """We expect `--all` and `--all-queued` to be asked for as such."""
    assert stoker("cancel", *options).code == 0
    assert [request.scope for request in daemon.requests if isinstance(request, Cancel)] == [scope]


@pytest.mark.parametrize("args", [[], ["job", "--all"], ["--all", "--all-queued"]])
def test_cancel_wants_to_know_what(stoker: Stoker, daemon: FakeDaemon, args: list[str]) -> None:
    """We expect a usage error where it is not clear what is to be cancelled."""
    assert stoker("cancel", *args).code == 2
    assert not daemon.requests


@pytest.mark.parametrize(("answer", "state"), [("n", "queued"), ("y", "cancelled")])
def test_cancelling_all_is_confirmed(daemon: FakeDaemon, answer: str, state: str) -> None:
    """We expect `--all` on a terminal to ask first, and to do what the answer says."""
    daemon.add_job("mine")
    with terminal("cancel", "--all", endpoint=daemon.control) as shown:
        shown.wait_for(lambda screen: "[y/N]" in screen)
        assert daemon.world.jobs["mine"].state == "queued"
        shown.type(f"{answer}\n")
        assert shown.end() == 0
    assert daemon.world.jobs["mine"].state == state


def test_without_a_terminal_all_needs_a_yes(daemon: FakeDaemon) -> None:
    """We expect `--all` in a script to cancel nothing, and to say which option does."""
    daemon.add_job("mine")
    ran = run_process("cancel", "--all", "--json", endpoint=daemon.control)
    assert (ran.code, ran.out) == (2, "")
    assert "--yes" in ran.error["message"]
    assert daemon.world.jobs["mine"].state == "queued"


def test_yes_asks_nothing(daemon: FakeDaemon) -> None:
    """We expect `--all --yes` to cancel at once, also on a terminal."""
    daemon.add_job("mine")
    with terminal("cancel", "--all", "--yes", endpoint=daemon.control) as shown:
        assert shown.end() == 0
    assert daemon.world.jobs["mine"].state == "cancelled"


@pytest.mark.parametrize(
    ("options", "states"),
    [
        ([], (ItemState.FAILED,)),
        (["--failed", "--cancelled"], (ItemState.FAILED, ItemState.CANCELLED)),
        (["--rejected", "--skipped"], (ItemState.REJECTED, ItemState.SKIPPED)),
    ],
)
def test_retry_names_states(
    stoker: Stoker, daemon: FakeDaemon, options: list[str], states: tuple[ItemState, ...]
) -> None:
    """We expect `retry` to send back items in the named states, the failed ones if none is named."""
    daemon.add_job("mine", 2)
    daemon.finish("mine", "failed")
    assert stoker("retry", "mine", *options).code == 0
    (request,) = (request for request in daemon.requests if isinstance(request, Retry))
    assert set(request.states) == set(states)


def test_retry_says_how_many(stoker: Stoker, daemon: FakeDaemon) -> None:
    """We expect the number of items that went back and the job's new revision."""
    daemon.add_job("mine", 2)
    daemon.finish("mine", "failed")
    assert stoker("retry", "mine", "--json").json == {"job_id": "mine", "requeued": 2, "rev": 1}


def test_pause_and_resume_the_queue(stoker: Stoker, daemon: FakeDaemon) -> None:
    """We expect the whole queue to be held back with a reason, and to go on, once."""
    paused = stoker("pause", "--reason", "gaming", "--json").json
    assert (paused["job_id"], paused["paused"]["reason"]) == (None, "gaming")
    assert daemon.world.paused is not None
    assert stoker("resume", "--json").json == {"job_id": None, "was_paused": True}
    assert daemon.world.paused is None
    assert "was not paused" in stoker("resume").out


def test_pause_and_resume_a_job(stoker: Stoker, daemon: FakeDaemon) -> None:
    """We expect one job to be held back, asked for with interruption, and to go on."""
    daemon.add_job("mine")
    assert "stoker resume mine" in stoker("pause", "mine", "--interrupt").out
    (request,) = (request for request in daemon.requests if isinstance(request, PauseWork))
    assert (request.job_id, request.interrupt) == ("mine", True)
    assert daemon.world.jobs["mine"].paused is not None
    assert stoker("resume", "mine").code == 0
    assert daemon.world.jobs["mine"].paused is None


def test_reload_shows_what_holds_when(stoker: Stoker, daemon: FakeDaemon) -> None:
    """We expect each key with its values and when it holds, a word about the restart, or that nothing has changed."""
    assert stoker("reload").out == "The configuration is what it was.\n"
    now = ConfigChange("execution.timeout_s", "600.0", "900.0", is_applied=True)
    later = ConfigChange("engines.comfyui.url", "", '"http://127.0.0.1:8188"', is_applied=False)
    daemon.world.changes = [now]
    assert "after a restart" not in stoker("reload").out
    daemon.world.changes = [now, later]
    lines = stoker("reload").out.splitlines()
    assert lines[1].split() == ["execution.timeout_s", "600.0", "900.0", "now"]
    assert lines[2].endswith("after a restart")
    assert "nothing is lost" in lines[-1]
    assert stoker("reload", "--json").json["changes"][1]["is_applied"] is False


def test_a_word_without_its_option(stoker: Stoker, daemon: FakeDaemon) -> None:
    """We expect the option to be named that a word too many belongs to, and any other to be refused as such."""
    daemon.add_job("mine")
    assert "Did you mean --priority urgent?" in stoker("move", "mine", "urgent").err
    assert "Did you mean --state failed?" in stoker("items", "mine", "failed").err
    refused = stoker("move", "mine", "upstairs")
    assert (refused.code, "'upstairs'" in refused.err, "Did you mean" in refused.err) == (2, True, False)
    assert not daemon.asked("move")


def test_shutdown_is_asked_for(stoker: Stoker, daemon: FakeDaemon) -> None:
    """We expect the daemon to be asked to stop."""
    assert stoker("shutdown", "--json").json == {"boot": "boot-1"}
    assert len(daemon.asked("shutdown")) == 1
