"""Jobs by what people call them: the beginning of an id, or the name that they gave."""

import pytest
from tests.clients.cli.conftest import Stoker
from tests.clients.cli.running import run_process
from tests.fakes.daemon import FakeDaemon

COMMANDS = [
    ["status"],
    ["items"],
    ["cancel"],
    ["move", "--front"],
    ["pause"],
    ["resume"],
    ["retry"],
    ["watch"],
    ["fetch", "-o", "nowhere"],
    ["outputs", "list"],
]


@pytest.mark.parametrize("said", ["night", "9d6q"])
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_each_command_takes_names_and_beginnings(
    stoker: Stoker, daemon: FakeDaemon, command: list[str], said: str
) -> None:
    """We expect the daemon to be asked for the job that is meant, and for no other."""
    daemon.add_job("9d6qw8d39a8g", name="night")
    daemon.add_job("other", name="day")
    if command[0] in ("watch", "retry"):
        daemon.finish("9d6qw8d39a8g", "failed")
    ran = stoker(*command, said, "--json")
    assert ran.code == (1 if command[0] == "watch" else 0), ran.err
    assert b"9d6qw8d39a8g" in daemon.bodies[-1]
    assert '"other"' not in ran.out


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_no_command_guesses(stoker: Stoker, daemon: FakeDaemon, command: list[str]) -> None:
    """We expect exit code 2, all jobs that may be meant with their names, and that nothing is done to any of them."""
    for job_id in ("9dab", "9dcd"):
        daemon.add_job(job_id, name=f"name of {job_id}")
    before = dict(daemon.world.jobs)
    ran = stoker(*command, "9d", "--json")
    assert ran.code == 2
    assert ran.error["code"] == "bad_request"
    assert "9dab (name of 9dab, queued)" in ran.error["message"]
    assert "9dcd (name of 9dcd, queued)" in ran.error["message"]
    assert daemon.world.jobs == before


def test_more_items_for_a_job_by_its_name(daemon: FakeDaemon) -> None:
    """We expect a trial to be continued by the name that it was given."""
    for options in (["--limit", "1", "--name", "trial"], ["--continue", "trial"]):
        ran = run_process("submit", "-", *options, endpoint=daemon.control, stdin='"a"\n"b"\n"c"\n')
        assert ran.code == 0, ran.err
        assert ("Look at what comes of it: stoker fetch" in ran.out) == ("--limit" in options)
        assert ("3 in all" in ran.out) == ("--continue" in options)
    (job,) = daemon.world.jobs.values()
    assert (job.items.total, job.is_open) == (3, False)
