"""Errors: the exit code for the shell, JSON for scripts, the next step for people."""

import pytest
from tests.clients.cli.conftest import Stoker
from tests.clients.cli.running import run_process, terminal
from tests.fakes.daemon import FakeDaemon

from stoker_protocol.errors import CODES, ErrorCode, Refused


@pytest.mark.parametrize("code", list(ErrorCode))
def test_each_refusal_has_its_exit_code(stoker: Stoker, daemon: FakeDaemon, code: ErrorCode) -> None:
    """We expect the exit code that the closed list gives each error code, and its name in the JSON."""
    daemon.refuse("snapshot", Refused(code, "no", field="job_id", hint="do this"))
    ran = stoker("status", "--json")
    assert ran.code == CODES[code].exit_code
    assert ran.out == ""
    assert ran.error == {"code": code.value, "message": "no", "field": "job_id", "hint": "do this"}


def test_nobody_there(stoker: Stoker, daemon: FakeDaemon) -> None:
    """We expect exit code 5 and the command that starts a daemon when nobody answers."""
    daemon.stop()
    ran = stoker("status", "--timeout", "0.3")
    assert ran.code == 5
    assert daemon.control in ran.err
    assert "Waiting" not in ran.err
    assert "stokerd" in ran.err


@pytest.mark.parametrize("endpoint", ["nonsense", "http://here:1", "tcp://127.0.0.1"])
def test_an_endpoint_that_is_none(stoker: Stoker, endpoint: str) -> None:
    """We expect exit code 2 and an example for something that is no endpoint."""
    ran = stoker("status", "--endpoint", endpoint, "--json")
    assert ran.code == 2
    assert "tcp://" in ran.error["hint"]


def test_the_option_beats_the_environment(stoker: Stoker, daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch) -> None:
    """We expect `--endpoint` to be taken before STOKER_ENDPOINT."""
    monkeypatch.setenv("STOKER_ENDPOINT", "tcp://127.0.0.1:1")
    assert stoker("ping", "--endpoint", daemon.control).code == 0


@pytest.mark.parametrize(("options", "told"), [([], 1), (["--json"], 0)])
def test_a_silence_is_told_before_it_is_an_error(
    stoker: Stoker, daemon: FakeDaemon, options: list[str], told: int
) -> None:
    """We expect one word after a second without an answer, except where the errors are read by a script."""
    daemon.lose_replies("snapshot", 2)
    ran = stoker("status", "--timeout", "3", *options)
    assert ran.code == 0
    assert ran.err.count(f"Waiting for {daemon.control}") == told


def test_another_machine_needs_other_advice(stoker: Stoker) -> None:
    """We expect to be asked for the host, and shown the way to a daemon that listens on its own machine only."""
    ran = stoker("ping", "--endpoint", "tcp://gpu.invalid:5577", "--timeout", "0.1")
    assert ran.code == 5
    assert "is gpu.invalid the right host" in ran.err
    assert "ssh -L 5577:127.0.0.1:5577 -L 5578:127.0.0.1:5578 gpu.invalid" in ran.err


def test_usage_errors_are_json_too(stoker: Stoker) -> None:
    """We expect a usage error with `--json` in the shape of all errors, naming the option and where help is."""
    ran = stoker("generate", "a", "--steps", "many", "--json")
    assert (ran.code, ran.out) == (2, "")
    assert ran.error["code"] == "usage"
    assert ran.error["field"] == "--steps"
    assert ran.error["hint"] == "stoker generate --help"


@pytest.mark.parametrize("args", [["status", "--jsn"], ["--nonsense"], ["fetch"], ["items"]])
def test_usage_errors_point_to_help(stoker: Stoker, args: list[str]) -> None:
    """We expect exit code 2 and the way to help for what can't be parsed."""
    ran = stoker(*args)
    assert ran.code == 2
    assert "--help" in ran.err


def test_a_near_miss_is_named(stoker: Stoker) -> None:
    """We expect the command that was probably meant."""
    assert "Did you mean generate?" in stoker("genrate").err


def test_a_process_has_the_codes(daemon: FakeDaemon) -> None:
    """We expect the exit codes of the process, not only of the function: done, usage, not found."""
    assert run_process("ping", endpoint=daemon.control).code == 0
    assert run_process("ping", "--no", endpoint=daemon.control).code == 2
    assert run_process("status", "nope", endpoint=daemon.control).code == 3


def test_colour_is_for_terminals(daemon: FakeDaemon) -> None:
    """We expect colours on a terminal, none where NO_COLOR is set, and none in a pipe."""
    with terminal("status", "nope", endpoint=daemon.control) as shown:
        assert shown.end() == 3
        assert "\x1b[31mError" in shown.screen
    with terminal("status", "nope", endpoint=daemon.control, NO_COLOR="1") as shown:
        assert shown.end() == 3
        assert "\x1b" not in shown.screen
    assert "\x1b" not in run_process("status", "nope", endpoint=daemon.control).err


def test_a_reader_that_leaves_is_no_fault(daemon: FakeDaemon) -> None:
    """We expect no traceback when the output is closed early, as `head` does."""
    daemon.add_job("mine", 500)
    ran = run_process("items", "mine", endpoint=daemon.control)
    assert ran.out.count("\n") == 501
    with terminal("items", "mine", endpoint=daemon.control) as shown:
        assert shown.end() == 0
