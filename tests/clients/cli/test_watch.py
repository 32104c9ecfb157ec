"""Staying with a job: `generate --wait` and `--watch`, `watch`, `status --watch`; plain, as JSON and on a terminal."""

import pytest
from msgspec.structs import replace
from tests.clients.cli.conftest import Stoker
from tests.clients.cli.running import piped, terminal
from tests.fakes.daemon import FakeDaemon

from stoker_client.operations import watching
from stoker_protocol.events import QUEUE_TOPIC, JobProgress, QueuePaused, QueueResumed, topic_of_job
from stoker_protocol.jobs import Eta, ItemCounts, Pause, Progress

COUNTS = ItemCounts(total=4, running=2, succeeded=1, failed=1)
PROGRESS = JobProgress(job_id="mine", progress=Progress("sampling", 3, 8, COUNTS, 50.0, 3.14, Eta(9.0, 12.0)))
FIGURES = "2 of 4 done, 1 failed, 3.1 items/s, about 9.0 s left"


def announce_progress(daemon: FakeDaemon) -> None:
    """Let the daemon tell how far the job is."""
    daemon.announce(topic_of_job("mine") + "job_progress", PROGRESS)


@pytest.mark.parametrize(("state", "code"), [("succeeded", 0), ("failed", 1), ("cancelled", 1)])
@pytest.mark.parametrize("option", ["--wait", "--watch", "--monitor"])
def test_the_exit_code_tells_how_the_job_ended(
    stoker: Stoker, daemon: FakeDaemon, option: str, state: str, code: int
) -> None:
    """We expect a waited job to give 0 when it succeeded and else 1, whether it is waited for or watched."""
    daemon.after("snapshot", None, lambda: daemon.finish("mine", state))
    assert stoker("generate", "a", "--job-id", "mine", option).code == code
    assert stoker("watch", "mine").code == code


def test_waiting_prints_one_document(stoker: Stoker, daemon: FakeDaemon) -> None:
    """We expect `--wait --json` to print the job as it ended, as `status` does, and nothing else."""
    daemon.after("snapshot", lambda: daemon.finish("mine"))
    shape = stoker("generate", "a", "--job-id", "mine", "--wait", "--json").json
    assert shape["state"] == "succeeded"
    assert shape == stoker("status", "mine", "--json").json


def test_watching_prints_lines(stoker: Stoker, daemon: FakeDaemon) -> None:
    """We expect `--watch --json` to print the submit, then the state, then each event to the end."""
    daemon.after("snapshot", lambda: (daemon.start_run("mine"), announce_progress(daemon), daemon.finish("mine")))
    first, state, *events = stoker("generate", "a", "--job-id", "mine", "--watch", "--json").lines
    assert first["job_id"] == "mine"
    assert (state["type"], state["job"]["state"]) == ("state", "queued")
    assert [event["type"] for event in events] == ["run_started", "job_progress", "run_finished"]
    assert [event["seq"] for event in events] == [2, None, 3]
    assert events[-1]["job"]["state"] == "succeeded"


def test_a_log_has_each_event(stoker: Stoker, daemon: FakeDaemon) -> None:
    """We expect `watch` into a pipe to print a plain line for each event, and how the job ended."""
    daemon.add_job("mine", 4, name="a name")
    daemon.after("snapshot", None, lambda: (daemon.start_run("mine"), daemon.finish("mine")))
    out = stoker("watch", "mine").out
    assert "\x1b" not in out
    assert "mine (a name) runs 4 items on plain" in out
    assert "mine (a name): 4 succeeded; 4 of 4 done" in out
    assert "stoker fetch mine" in out


def test_a_log_has_figures_now_and_then(stoker: Stoker, daemon: FakeDaemon) -> None:
    """We expect `--wait` into a pipe to print how far the job is, but not at each report."""

    def work() -> None:
        for _ in range(20):
            announce_progress(daemon)
        daemon.finish("mine")

    daemon.after("snapshot", None, work)
    assert stoker("generate", "a", "--job-id", "mine", "--wait").out.count(FIGURES) == 1


def test_a_failure_says_why_and_what_next(stoker: Stoker, daemon: FakeDaemon) -> None:
    """We expect the end of a failed job to name how to see the reasons and how to try again."""
    daemon.add_job("mine")
    daemon.finish("mine", "failed")
    out = stoker("watch", "mine").out
    assert "1 failed" in out
    assert "stoker items mine --state failed" in out
    assert "stoker retry mine" in out


def test_waiting_says_that_the_queue_is_paused(stoker: Stoker, daemon: FakeDaemon) -> None:
    """We expect somebody who waits to learn why nothing moves."""
    stoker("pause", "--reason", "gaming")
    daemon.after("snapshot", None, lambda: daemon.finish("mine"))
    assert "held back" in stoker("generate", "a", "--job-id", "mine", "--wait").out


@pytest.mark.parametrize("others", [[], ["other"]])
def test_waiting_says_that_the_queue_is_paused_meanwhile(daemon: FakeDaemon, others: list[str]) -> None:
    """We expect somebody who waits, for one job or more, to hear once of a pause that comes later, why and by whom."""
    for job_id in ["mine", *others]:
        daemon.add_job(job_id)
    with piped("watch", "mine", *others, endpoint=daemon.control) as shown:
        shown.wait_for(lambda screen: screen.count("is queued") == 1 + len(others))
        daemon.tell(QUEUE_TOPIC, QueuePaused(paused=Pause("gaming", "ada", 1_700_000_000_000)))
        shown.wait_for(lambda screen: "by ada: gaming" in screen)
        daemon.tell(QUEUE_TOPIC, QueueResumed(author="ada"))
        for job_id in ["mine", *others]:
            daemon.finish(job_id)
        assert shown.end() == 0
        assert shown.screen.count("held back") == shown.screen.count("let go on by ada") == 1


def test_results_that_were_refused(stoker: Stoker, daemon: FakeDaemon) -> None:
    """We expect somebody whose results did not pass to be told where the reasons are."""
    daemon.add_job("mine")
    daemon.finish("mine")
    daemon.world.jobs["mine"] = replace(daemon.world.jobs["mine"], items=ItemCounts(total=2, succeeded=1, rejected=1))
    assert "stoker items mine --state rejected" in stoker("watch", "mine").out


def test_watching_all_says_so(daemon: FakeDaemon) -> None:
    """We expect somebody who watches an idle daemon to be told that this is what they do, and then what happens."""
    with piped("watch", endpoint=daemon.control) as shown:
        shown.wait_for(lambda screen: "is told here, until Ctrl+C" in screen)
        shown.wait_for(lambda _: bool(daemon.asked("snapshot")))
        daemon.tell(QUEUE_TOPIC, QueuePaused(paused=Pause("gaming", "ada", 0)))
        shown.wait_for(lambda screen: "gaming" in screen)
        shown.interrupt()
        assert shown.end() == 130


def test_nothing_to_watch(stoker: Stoker, daemon: FakeDaemon) -> None:
    """We expect exit code 3 for an unknown job, and 5 when nobody answers."""
    assert stoker("watch", "nope").code == 3
    daemon.stop()
    assert stoker("watch", "--timeout", "0.3").code == 5


def test_a_port_that_is_closed(stoker: Stoker, daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch) -> None:
    """We expect exit code 5, the port that is to be opened, and the command that does without, where no event comes."""
    monkeypatch.setattr(watching, "JOIN_S", 0.3)
    daemon.world.event_endpoints = ["tcp://127.0.0.1:1"]
    ran = stoker("watch", "--json")
    assert ran.code == 5
    assert ran.error["message"] == "no events from tcp://127.0.0.1:1"
    assert "open port 1 " in ran.error["hint"]
    assert "`stoker status --watch`" in ran.error["hint"]


def test_ctrl_c_leaves_the_job_alone(daemon: FakeDaemon) -> None:
    """We expect Ctrl+C to end with 130, to say how to come back, and to change nothing about the job."""
    with piped("generate", "a", "--job-id", "mine", "--watch", "--json", endpoint=daemon.control) as shown:
        shown.wait_for(lambda screen: '"type":"state"' in screen)
        shown.interrupt()
        assert shown.end() == 130
        error = shown.lines[-1]["error"]
    assert error["code"] == "interrupted"
    assert "stoker watch mine" in error["hint"]
    assert "stoker cancel mine" in error["hint"]
    assert daemon.world.jobs["mine"].state == "queued"
    assert not daemon.asked("cancel")


def test_a_terminal_shows_bars(daemon: FakeDaemon) -> None:
    """We expect the bar of a job with its figures and phase on a terminal, and Ctrl+C to be taken calmly."""
    with terminal("generate", "a", "--job-id", "mine", "--wait", endpoint=daemon.control) as shown:
        shown.wait_for(lambda screen: "0 of 1 done" in screen)
        announce_progress(daemon)
        screen = shown.wait_for(lambda screen: f"{FIGURES}, sampling 3/8" in screen)
        assert "━" in screen
        shown.interrupt()
        assert shown.end() == 130
        assert "goes on without you" in shown.screen
        assert "Error" not in shown.screen


def test_an_absence_of_the_daemon_is_told(daemon: FakeDaemon) -> None:
    """We expect a wait to say that the daemon is away and the job safe, that it is back, and to go on to the end."""
    with terminal("generate", "a", "--job-id", "mine", "--wait", endpoint=daemon.control) as shown:
        shown.wait_for(lambda screen: "0 of 1 done" in screen)
        daemon.stop()
        shown.wait_for(lambda screen: "The daemon is away" in screen and "safe" in screen)
        daemon.start()
        shown.wait_for(lambda screen: "The daemon is back" in screen)
        daemon.finish("mine")
        assert shown.end() == 0
        assert "mine succeeded" in shown.screen


def test_what_can_not_be_known_after_a_gap(daemon: FakeDaemon) -> None:
    """We expect who watches everything to read of a gap, how jobs ended in it, and of which that can't be known."""
    daemon.add_job("one", name="first")
    daemon.add_job("two")
    with piped("watch", endpoint=daemon.control) as shown:
        shown.wait_for(lambda screen: "two is queued" in screen)
        daemon.drop_events(3)
        daemon.start_run("one")
        daemon.add_job("unseen")
        daemon.finish("unseen")
        del daemon.world.jobs["one"]
        daemon.world.forgotten = 5
        shown.wait_for(lambda screen: "how it ended can't be known" in screen)
        lines = shown.screen.splitlines()
    assert lines[-4:] == [
        "Some events are gone for good, and what they told can't be; the jobs as they are now:",
        "two is queued: 1 pending",
        "unseen is succeeded: 1 succeeded",
        "one (first) is gone: the daemon has it no more, and how it ended can't be known",
    ]


def test_status_stays_up_to_date(daemon: FakeDaemon) -> None:
    """We expect `status --watch` on a terminal to show changes in place until `q` or Ctrl+C."""
    daemon.add_job("mine")
    with terminal("status", "--watch", endpoint=daemon.control) as shown:
        shown.wait_for(lambda screen: "queued" in screen)
        daemon.start_run("mine")
        shown.wait_for(lambda screen: "running" in screen)
        shown.interrupt()
        assert shown.end() == 130
    with terminal("status", "--watch", endpoint=daemon.control) as shown:
        shown.wait_for(lambda screen: "(q leaves)" in screen)
        shown.type("q")
        assert shown.end() == 0


def test_status_of_a_job_ends_with_it(daemon: FakeDaemon) -> None:
    """We expect `status JOB --watch --json` to print a line for each change, and to end with the job."""
    daemon.add_job("mine")
    with piped("status", "mine", "--watch", "--json", endpoint=daemon.control) as shown:
        shown.wait_for(lambda _: len(daemon.asked("job")) >= 3)  # looks that see nothing new
        daemon.start_run("mine")
        shown.wait_for(lambda _: len(shown.lines) == 2)
        daemon.finish("mine")
        assert shown.end() == 0
        assert [line["state"] for line in shown.lines] == ["queued", "running", "succeeded"]
