"""What a command's arguments become, which configurations of one make no sense, and which values do not fit."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stoker_daemon.recipes.command import READY_MADE, Command, CommandParameter
from stoker_protocol.errors import Refused

TEXT = {"x": CommandParameter()}
HOSTILE = [
    "a b",
    "a\nb",
    "; rm -rf /",
    "$(id)",
    "`id`",
    "'",
    '"',
    "*",
    "{x}",
    "{scratch}",
    "",
    "&& x",
    "a\\",
    "-",
    "--",
]


def _command(*argv: str, **options: Any) -> Command:
    return Command(argv=argv, parameters=TEXT, **options)


@pytest.mark.parametrize("value", HOSTILE)
def test_a_value_stays_where_it_is(value: str) -> None:
    """A value becomes part of one argument as it is, whatever a shell or a template would make of it."""
    command = _command("run", "--x={x}", "<{x}>", "{{x}}", "--", "{x}{x}")
    assert command.arguments({"x": value}, "/s") == ["run", f"--x={value}", f"<{value}>", "{x}", "--", value * 2]


@given(value=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=50))
def test_as_many_arguments_as_in_the_template(value: str) -> None:
    """No value adds or removes an argument, or makes an option of one."""
    command = _command("run", "{x}", "-o{x}", "{scratch}/out")
    try:
        arguments = command.arguments({"x": value}, "/s")
    except Refused:
        assert value.startswith("-")
    else:
        assert arguments == ["run", value, f"-o{value}", "/s/out"]


def test_other_types() -> None:
    """Numbers and truths are written as people write them, and a default stands where nothing is given."""
    parameters = {
        "n": CommandParameter(type="integer", default=7),
        "f": CommandParameter(type="number"),
        "b": CommandParameter(type="boolean"),
    }
    command = Command(argv=("run", "{n}", "f={f}", "{b}"), parameters=parameters)
    assert command.arguments({"f": 0.5, "b": True}, "/s") == ["run", "7", "f=0.5", "true"]


@pytest.mark.parametrize(
    ("parameter", "value", "problem"),
    [
        (CommandParameter(), "-rf", "would be an option"),
        (CommandParameter(), "a\0b", "has a NUL"),
        (CommandParameter(max_length=3), "abcd", "is too long"),
        (CommandParameter(pattern="[a-z]+"), "abc\n", "does not match"),
        (CommandParameter(pattern="a|b"), "ab", "does not match"),
        (CommandParameter(choices=("a", "b")), "c", "is not one of the choices"),
        (CommandParameter(), 3, "is not a string"),
        (CommandParameter(type="integer"), "3", "is not an integer"),
        (CommandParameter(type="integer", minimum=0), -1, "is out of range"),
        (CommandParameter(type="number"), float("nan"), "is not a finite number"),
        (CommandParameter(), None, "is not a string"),
        (CommandParameter(), ["a"], "is not a string"),
    ],
)
def test_value_that_does_not_fit(parameter: CommandParameter, value: Any, problem: str) -> None:
    """A value that does not fit is refused by its name, with what would do."""
    with pytest.raises(Refused, match=problem) as refused:
        Command(argv=("run", "{x}"), parameters={"x": parameter}).arguments({"x": value}, "/s")
    assert refused.value.field == "params.x"
    assert refused.value.hint


@pytest.mark.parametrize(
    ("argv", "values"), [(("{y}{x}",), {"y": "", "x": "-f"}), (("{x}={y}",), {"x": "-f", "y": ""})]
)
def test_no_option_by_parts(argv: tuple[str, ...], values: dict[str, str]) -> None:
    """Values that stand first together can't make an option either, be one of them empty."""
    command = Command(argv=("run", *argv), parameters={"x": CommandParameter(), "y": CommandParameter()})
    with pytest.raises(Refused, match="would be an option"):
        command.arguments(values, "/s")


@pytest.mark.parametrize("given", [{}, {"x": "a", "y": "b"}, {"x": "a", "scratch": "/etc"}])
def test_other_names(given: dict[str, str]) -> None:
    """A missing parameter and one that there is not are refused, and nobody moves the scratch folder."""
    with pytest.raises(Refused):
        _command("run", "{x}", "{scratch}").arguments(given, "/s")


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"argv": ()}, "length >= 1"),
        ({"argv": ("run", "{y}")}, "there is no parameter 'y'"),
        ({"argv": ("run",)}, "x is nowhere in argv"),
        ({"argv": ("{x}",)}, "must not choose the program"),
        ({"argv": ("", "{x}")}, "a program has a name"),
        ({"argv": ("run", "{x}", "a\0b")}, "no argument a NUL"),
        ({"argv": ("run", "{x}", "{")}, "write a brace that is no placeholder twice"),
        ({"argv": ("run", "{x}", "{}")}, "write a brace that is no placeholder twice"),
        ({"argv": ("sh", "-c", "echo {x}")}, "would become part of a script"),
        ({"argv": ("/bin/bash", "-xc", "echo {x}")}, "would become part of a script"),
        ({"argv": ("python3.11", "-c", "print('{x}')")}, "would become part of a script"),
        ({"argv": ("run", "{x}{scratch}"), "parameters": {**TEXT, "scratch": {}}}, "scratch has a meaning"),
        ({"outputs": ("/etc/*",)}, "is not a pattern for files in the scratch folder"),
        ({"outputs": ("a/../../*",)}, "is not a pattern for files in the scratch folder"),
        ({"exit_codes": {"256": "failed"}}, "is not a number from 0 to 255"),
        ({"exit_codes": {"x": "failed"}}, "is not a number from 0 to 255"),
        ({"exit_codes": {"1": "bad"}}, "Invalid enum value 'bad'"),
        ({"parameters": {"x": {"pattern": "("}}}, "pattern = '('"),
        ({"parameters": {"x": {"default": "-x"}}}, "would be an option"),
        ({"parameters": {"x": {"type": "integer", "default": "a"}}}, "is not an integer"),
        ({"timeout_s": 0}, "> 0.0"),
    ],
)
def test_command_that_makes_no_sense(options: dict[str, Any], problem: str) -> None:
    """A command which would be unsafe, or could never run, is no configuration."""
    table: dict[str, Any] = {"argv": ("run", "{x}"), "parameters": {"x": {}}, **options}
    with pytest.raises(msgspec.ValidationError) as refused:
        msgspec.convert(table, Command)
    assert problem in str(refused.value)


def test_script_with_values_as_arguments() -> None:
    """A shell may run a script of the configuration to which values are only arguments."""
    command = _command("sh", "-c", 'echo "$1" > "{scratch}/out"', "sh", "{x}")
    assert command.arguments({"x": "; id"}, "/s")[-1] == "; id"


@pytest.mark.parametrize("kind", READY_MADE)
def test_ready_made(kind: str) -> None:
    """The ready-made commands take pytest's exit codes for what they mean."""
    command = msgspec.convert(READY_MADE[kind], Command)
    outcomes = [command.outcome(code) for code in range(6)]
    assert outcomes == ["succeeded", "rejected", "failed", "failed", "failed", "skipped"]


@pytest.mark.parametrize(
    ("module", "fits"),
    [
        ("tests/test_a.py", True),
        ("tests/test_a.py::TestA::test_b[1-x]", True),
        ("--pdb", False),
        ("a b", False),
        ("a;b", False),
        ("", False),
    ],
)
def test_module(module: str, *, fits: bool) -> None:
    """A module to be tested is a path, if need be with the name of a test, and nothing else."""
    command = msgspec.convert(READY_MADE["test"], Command)
    if fits:
        assert command.arguments({"module": module}, "/s") == ["pytest", "-q", module]
    else:
        with pytest.raises(Refused):
            command.arguments({"module": module}, "/s")
