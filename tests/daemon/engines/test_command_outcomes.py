"""What a command is given, and what becomes of its item by the way in which it ends."""

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest
from tests.conformance.bench import Recorder, members, run, started, submit, within_bound
from tests.daemon.engines.command_bench import MAX_OUTPUT, engine_of, outcome, script

from stoker_daemon.recipes.command import READY_MADE, Command, CommandParameter
from stoker_protocol.errors import FailureKind, Refused

VARIABLES = "import json, os; print(json.dumps(dict(os.environ)))"


@pytest.mark.parametrize(
    ("code", "verdict", "kind"),
    [
        (0, "done", None),
        (1, "failed", FailureKind.INVALID),
        (3, "rejected", None),
        (4, "skipped", None),
        (5, "done", None),
        (75, "failed", FailureKind.SERVER_ERROR),
        (255, "failed", FailureKind.INVALID),
    ],
)
def test_exit_codes(tmp_path: Path, code: int, verdict: str, kind: FailureKind | None) -> None:
    """An item ends as the configuration says of the exit code, with the last line as its reason."""
    meanings = {"3": "rejected", "4": "skipped", "5": "succeeded", "75": "retry"}
    told = outcome(tmp_path, script(f"echo one; echo the reason; exit {code}", exit_codes=meanings))
    message = f"do exited with code {code}: the reason"
    assert told.done == ([0] if verdict == "done" else [])
    assert told.verdicts == ([(0, verdict, message)] if verdict in ("rejected", "skipped") else [])
    assert told.failures == ([(0, kind, message)] if kind else [])
    assert [output.data for output in told.outputs] == ([] if kind else [b"one\nthe reason\n"])


@pytest.mark.parametrize("name", ["KILL", "SEGV", "TERM"])
def test_command_that_is_killed(tmp_path: Path, name: str) -> None:
    """A command that is killed by a signal has crashed, and the next one runs."""

    async def scenario() -> None:
        async with started(engine_of(tmp_path, script('test -z "$1" || kill -$1 $$'))) as engine:
            told = await run(engine, {"x": name})
            assert told.failures == [(0, FailureKind.CRASH, f"do was killed by SIG{name}")]
            assert (await run(engine, {})).done == [0]

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (Command(argv=("no-such-program",)), "No such file or directory: 'no-such-program'"),
        (Command(argv=("/etc/passwd",)), "Permission denied: '/etc/passwd'"),
        (Command(argv=("true",), cwd="/no/such/folder"), "No such file or directory: '/no/such/folder'"),
    ],
)
def test_command_that_cannot_start(tmp_path: Path, command: Command, message: str) -> None:
    """A command that can't be started fails its item, to be tried again, and says why."""
    ((position, kind, said),) = outcome(tmp_path, command).failures
    assert (position, kind) == (0, FailureKind.SERVER_ERROR)
    assert message in said


def test_argument_that_the_kernel_refuses(tmp_path: Path) -> None:
    """An argument beyond what the kernel takes fails its item and nothing else."""
    long = CommandParameter(max_length=100_000)
    told = outcome(tmp_path, Command(argv=("true", "{x}"), parameters={"x": long}), x="\U0001f600" * 99_999)
    assert [kind for _, kind, _ in told.failures] == [FailureKind.SERVER_ERROR]


def test_time_limit(tmp_path: Path) -> None:
    """A command that takes longer than it may is killed, and its item has timed out."""
    told = outcome(tmp_path, script("echo begun; sleep 600", timeout_s=0.3))
    assert told.failures == [(0, FailureKind.TIMEOUT, "took longer than 0.3 s")]


def test_only_the_variables_that_are_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command gets the variables that its configuration names and says, and none of the daemon's secrets."""
    monkeypatch.setenv("SECRET", "s3cr3t")
    monkeypatch.setenv("SHARED", "yes")
    argv = (sys.executable, "-I", "-S", "-c", VARIABLES)
    told = outcome(tmp_path, Command(argv=argv, env=("PATH", "SHARED", "NOT_THERE", "CI=a=b")))
    variables = json.loads(told.outputs[0].data)
    assert variables.pop("STOKER_WORKER").startswith(str(tmp_path))
    variables.pop("LC_CTYPE", None)  # Python's own, in a C locale
    assert variables == {"PATH": os.environ["PATH"], "SHARED": "yes", "CI": "a=b"}


def test_where_it_runs(tmp_path: Path) -> None:
    """A command runs where the configuration says, else in a scratch folder that nobody else can read."""
    (tmp_path / "project").mkdir()
    there = outcome(tmp_path, script("pwd", cwd=str(tmp_path / "project")))
    assert there.outputs[0].data.decode().strip() == str(tmp_path / "project")
    told = outcome(tmp_path, script("pwd; echo $0; stat -c %a .; cat; ls -A"))
    where, scratch, mode = told.outputs[0].data.decode().split()
    assert (where, mode) == (scratch, "700")


def test_standard_streams(tmp_path: Path) -> None:
    """What is written to the streams becomes two files, each with its command and exit code."""
    told = outcome(tmp_path, script("echo out; echo err >&2"))
    assert [(o.data, o.media_type, o.suffix) for o in told.outputs] == [
        (b"out\n", "text/plain", ".txt"),
        (b"err\n", "text/plain", ".txt"),
    ]
    facts = {"command": "do", "exit_code": 0, "bytes_left_out": 0}
    assert [o.record for o in told.outputs] == [{**facts, "stream": "stdout"}, {**facts, "stream": "stderr"}]


def test_endless_output(tmp_path: Path) -> None:
    """Of what a command writes without end the beginning and the end are kept, and it is said how much is missing."""
    told = outcome(tmp_path, script("echo first; head -c 50000000 /dev/zero; echo last"))
    (output,) = told.outputs
    assert MAX_OUTPUT <= len(output.data) <= MAX_OUTPUT + 100
    assert output.data.startswith(b"first\n")
    assert output.data.endswith(b"last\n")
    left_out = 50_000_000 + len(b"first\nlast\n") - MAX_OUTPUT
    assert output.record["bytes_left_out"] == left_out
    assert f"[{left_out} bytes are left out here]".encode() in output.data


def test_garbage_as_reason(tmp_path: Path) -> None:
    """A last line of any bytes, however long, becomes a short text."""
    told = outcome(tmp_path, script(r"printf '\377\033[31m\000'; head -c 100000 /dev/zero | tr '\0' x; exit 9"))
    ((_, _, message),) = told.failures
    assert len(message) < 400
    assert message.isprintable()


@pytest.mark.parametrize(
    ("text", "verdict", "reason"),
    [
        ("def test_a(): pass", None, ""),
        ("def test_a(): assert False", "rejected", "1 failed"),
        ("", "skipped", "no tests ran"),
        ("syntax error", "failed", "1 error"),
    ],
)
def test_pytest(tmp_path: Path, text: str, verdict: str | None, reason: str) -> None:
    """Tests that pass are a success, those that fail reject, no tests skip, and a broken module fails."""
    (tmp_path / "test_it.py").write_text(text)
    argv = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"{tmp_path}/{{x}}")
    parameters = {"x": CommandParameter()}
    command = Command(argv=argv, parameters=parameters, exit_codes=READY_MADE["validate"]["exit_codes"])
    told = outcome(tmp_path, command, x="test_it.py")
    said = [*told.verdicts, *((position, "failed", message) for position, _, message in told.failures)]
    assert [state for _, state, _ in said] == ([verdict] if verdict else [])
    assert told.done == ([] if verdict else [0])
    assert all(reason in message for _, _, message in said)


def test_command_that_is_not_allowed_any_more(tmp_path: Path) -> None:
    """An item of a command that the configuration lost, or whose parameters it changed, fails without running."""

    async def scenario() -> None:
        async with started(engine_of(tmp_path, script("touch $0/../../../ran"))) as engine:
            for template, params, kind in (
                (b"gone", {}, FailureKind.REFUSED),
                (b"do", {"y": "a"}, FailureKind.INVALID),
                (b"do", {"x": "-a"}, FailureKind.INVALID),
            ):
                told = Recorder()
                await within_bound(engine.run("run", members(params, template=template), told))
                assert [failure[1] for failure in told.failures] == [kind]
        assert not (tmp_path / "ran").exists()

    asyncio.run(scenario())


@pytest.mark.parametrize("field", ["model", "profile"])
def test_what_it_does_not_take(tmp_path: Path, field: str) -> None:
    """A job of commands that names a model or a profile is refused by that field."""
    import msgspec

    engine = engine_of(tmp_path, script("true"))
    with pytest.raises(Refused) as refused:
        engine.place(msgspec.structs.replace(submit({}), **{field: "x"}))
    assert refused.value.field == field


def test_value_is_refused_where_it_stands(tmp_path: Path) -> None:
    """A value which would be an option is refused at submit, by item or as the job's own."""

    async def scenario() -> None:
        engine = engine_of(tmp_path, Command(argv=("run", "{x}"), parameters={"x": CommandParameter()}))
        for request, field in (
            (submit({"x": "a"}, {"x": "-rf"}), "items[1].params.x"),
            (submit({"x": "a"}, params={"x": "-rf"}), "params.x"),
        ):
            with pytest.raises(Refused, match="would be an option") as refused:
                await engine.check(request, engine.place(request))
            assert refused.value.field == field

    asyncio.run(scenario())
