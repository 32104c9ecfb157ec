"""A command that jobs may run: its arguments with placeholders, what fits into them, and what its exit codes mean."""

import re
from collections.abc import Collection, Iterator, Mapping
from itertools import pairwise
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from stoker_daemon.jobs.parameters import check_parameters
from stoker_protocol.errors import ErrorCode, Refused
from stoker_protocol.jobs import Parameter

SCRATCH = "scratch"
"""The placeholder for the folder, empty at first, that each item has to itself."""
OUTCOMES = ("succeeded", "rejected", "skipped", "failed", "retry")
MAX_LENGTH = 100_000
"""Bytes that Linux takes in one argument: 128 KiB; a character has up to four, which the kernel itself refuses."""

Value = str | int | float | bool
Outcome = Literal["succeeded", "rejected", "skipped", "failed", "retry"]

_PART = re.compile(r"\{\{|\}\}|\{(\w*)\}|[{}]")
_TAKES_SCRIPTS = re.compile(r"(ba|da|z|k|c|fi)?sh|python[\d.]*|perl|ruby|node|php|lua")
_SCRIPT_FLAG = re.compile(r"-\w*[ceE]")

READY_MADE: dict[str, dict[str, Any]] = {
    "validate": {
        "summary": "Run the tests",
        "argv": ["pytest", "-q"],
        "exit_codes": {"1": "rejected", "5": "skipped"},
    },
    "test": {
        "summary": "Run the tests of one module",
        "argv": ["pytest", "-q", "{module}"],
        "exit_codes": {"1": "rejected", "5": "skipped"},
        "parameters": {"module": {"pattern": r"[\w./-]+(::[\w.\[\]-]+)*"}},
    },
}
"""Commands by their `kind`, as the configuration would say them; source of the exit codes: pytest's documentation."""


class CommandParameter(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[engines.NAME.commands.WORD.parameters.NAME]`: what a job may put into a placeholder."""

    type: Literal["string", "integer", "number", "boolean"] = "string"
    """What its values are; `true` and `false` are written like that."""
    default: Value | None = None
    """The value where a job gives none; one without a default must be given."""
    minimum: int | float | None = None
    """The lowest number."""
    maximum: int | float | None = None
    """The highest number."""
    choices: tuple[Value, ...] | None = None
    """The only values."""
    pattern: str = ""
    """A regular expression that a whole text has to match."""
    max_length: Annotated[int, Meta(ge=0, le=MAX_LENGTH)] = 4_000
    """Characters of a text."""
    help: str = ""
    """What it does."""

    def __post_init__(self) -> None:
        try:
            re.compile(self.pattern)
        except re.error as error:
            raise ValueError(f"pattern = {self.pattern!r}: {error}") from None


class Command(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[engines.NAME.commands.WORD]`: a program that jobs may run. A relative `cwd` begins at the file's folder."""

    argv: Annotated[tuple[str, ...], Meta(min_length=1)]
    """The program and its arguments; `{name}` stands for a parameter, `{{` and `}}` for braces."""
    summary: str = ""
    """What it is good for."""
    cwd: str | None = None
    """Where it runs; by default in the scratch folder of its item."""
    env: tuple[str, ...] = ("PATH", "HOME", "LANG")
    """Variables that it gets: those of the daemon by their names, and `NAME=value`."""
    outputs: tuple[str, ...] = ()
    """Which files of the scratch folder are kept: `*.png`; `*` also stands for folders."""
    parameters: dict[str, CommandParameter] = {}
    """What may be put into `argv`."""
    exit_codes: dict[str, Outcome] = {}
    """What an exit code means; 0 means `succeeded` and others `failed` unless it is said here."""
    timeout_s: Annotated[float, Meta(gt=0, le=30 * 86_400)] | None = None
    """Seconds until it is killed, for jobs that do not say less."""

    def __post_init__(self) -> None:
        for problem in self._problems():
            raise ValueError(problem)

    def described(self) -> list[Parameter]:
        """Its parameters as clients know them."""
        return [_described(name, parameter) for name, parameter in self.parameters.items()]

    def check(self, values: Mapping[str, Any], field: str) -> None:
        """Check what only a command minds in values of the right types. Raises Refused: `bad_request`."""
        for name, value in values.items():
            if isinstance(value, str) and (problem := self._problem(name, value)):
                where = f"{field}.{name}"
                raise Refused(
                    ErrorCode.BAD_REQUEST, f"{where}: {value!r:.80} {problem[0]}", field=where, hint=problem[1]
                )

    def arguments(self, given: Mapping[str, Any], scratch: str) -> list[str]:
        """The program and its arguments, as many as `argv` has. Raises Refused: `bad_request`: a value does not fit."""
        known = {parameter.name: parameter for parameter in self.described()}
        check_parameters(given, known, "params")
        self.check(given, "params")
        defaults = {name: p.default for name, p in self.parameters.items()}
        values = {name: _written(value) for name, value in {**defaults, **given, SCRATCH: scratch}.items()}
        return ["".join(_filled(element, values)) for element in self.argv]

    def outcome(self, code: int) -> Outcome:
        """What an exit code means."""
        return self.exit_codes.get(str(code), "failed" if code else "succeeded")

    def _problem(self, name: str, value: str) -> tuple[str, str] | None:
        """What is wrong with a text, and what would be accepted."""
        parameter = self.parameters[name]
        if len(value) > parameter.max_length:
            return "is too long", f"up to {parameter.max_length} characters"
        if "\0" in value:
            return "has a NUL", "text without NUL characters"
        if parameter.pattern and not re.fullmatch(parameter.pattern, value):
            return "does not match", f"text that matches {parameter.pattern}"
        if value.startswith("-") and name in self._leading():
            return "would be an option", "text that does not begin with -"
        return None

    def _leading(self) -> set[str]:
        """The parameters that an argument may begin with, and so must not make it an option; after `--` none is."""
        end = self.argv.index("--") if "--" in self.argv else len(self.argv)
        return {name for element in self.argv[:end] for name in _leading(element)}

    def _problems(self) -> Iterator[str]:
        named = {name for element in self.argv for name in _placeholders(element)}
        unknown = sorted(named - self.parameters.keys() - {SCRATCH})
        if unknown or SCRATCH in self.parameters:
            yield f"argv: there is no parameter {unknown[0]!r}" if unknown else f"parameters: {SCRATCH} has a meaning"
        if unused := sorted(self.parameters.keys() - named):
            yield f"parameters: {unused[0]} is nowhere in argv"
        if any("\0" in element for element in self.argv) or not self.argv[0]:
            yield "argv: a program has a name, and no argument a NUL"
        if any(_placeholders(self.argv[0])):
            yield f"argv: {self.argv[0]!r}: a job must not choose the program"
        if script := _open_script(self.argv):
            yield f"argv: {script!r}: a value would become part of a script; name it after the script and use it as $1"
        if wrong := _not_inside(self.outputs):
            yield f"outputs: {wrong!r} is not a pattern for files in the scratch folder, as *.png"
        if wrong := [code for code in self.exit_codes if not re.fullmatch(r"\d{1,2}|1\d\d|2[0-4]\d|25[0-5]", code)]:
            yield f"exit_codes: {wrong[0]!r} is not a number from 0 to 255"
        for name, parameter in self.parameters.items():
            if parameter.default is not None:
                yield from self._problems_of_default(name, parameter.default)

    def _problems_of_default(self, name: str, default: Value) -> Iterator[str]:
        try:
            check_parameters({name: default}, {name: _described(name, self.parameters[name])}, "parameters")
            self.check({name: default}, "parameters")
        except Refused as refused:
            yield f"{refused.message}; {refused.hint}"


def _described(name: str, own: CommandParameter) -> Parameter:
    return Parameter(
        name=name,
        type=own.type,
        default=own.default,
        minimum=own.minimum,
        maximum=own.maximum,
        choices=None if own.choices is None else list(own.choices),
        required=own.default is None,
        help=own.help,
    )


def _placeholders(element: str) -> Iterator[str]:
    """The names in an argument. Raises ValueError: a brace that is neither of a name nor double."""
    for match in _PART.finditer(element):
        if match[1]:
            yield match[1]
        elif match[0] not in ("{{", "}}"):
            raise ValueError(f"argv: {element!r}: write a brace that is no placeholder twice")


def _leading(element: str) -> Iterator[str]:
    """The names at the beginning of an argument, one after the other."""
    end = 0
    for match in _PART.finditer(element):
        if match.start() != end or not match[1]:
            return
        yield match[1]
        end = match.end()


def _filled(element: str, values: Mapping[str, str]) -> Iterator[str]:
    end = 0
    for match in _PART.finditer(element):
        yield element[end : match.start()]
        yield values[match[1]] if match[1] else match[0][0]
        end = match.end()
    yield element[end:]


def _written(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _open_script(argv: tuple[str, ...]) -> str:
    """The script among the arguments that a value could become part of, if there is one."""
    if not _TAKES_SCRIPTS.fullmatch(argv[0].rpartition("/")[2]):
        return ""
    scripts = [after for flag, after in pairwise(argv) if _SCRIPT_FLAG.fullmatch(flag)]
    return next((script for script in scripts if set(_placeholders(script)) - {SCRATCH}), "")


def _not_inside(patterns: Collection[str]) -> str:
    """The first pattern that does not speak of files in a folder."""
    wrong = (p for p in patterns if not p or p.startswith("/") or ".." in p.split("/") or "\0" in p)
    return next(wrong, "")
