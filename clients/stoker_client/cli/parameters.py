"""What parameters take, as a person reads it."""

import textwrap
from collections.abc import Iterator, Sequence

from stoker_client.cli.render import clean, table
from stoker_protocol.jobs import Parameter

_IN_A_CELL = 48
"""Letters of choices that have room in a table."""
_IN_FULL = 60
"""Choices that are listed."""


def table_of_parameters(parameters: Sequence[Parameter]) -> str:
    """One line for each parameter, and below them the choices that there are too many of for a line."""
    rows = [(p.name, _accepts(p), _default(p), p.help) for p in parameters]
    return "\n".join([table(("parameter", "takes", "default", "what it does"), rows), *_choices(parameters)])


def _accepts(parameter: Parameter) -> str:
    if parameter.choices is not None:
        words = ", ".join(map(str, parameter.choices))
        return words if len(words) <= _IN_A_CELL else f"one of {len(parameter.choices)}"
    low, high = parameter.minimum, parameter.maximum
    span = f" from {_plain(low)}" if low is not None else ""
    return parameter.type + span + (f" to {_plain(high)}" if high is not None else "")


def _plain(number: int | float) -> str:
    return str(int(number) if number == int(number) else number)


def _default(parameter: Parameter) -> str:
    if parameter.required:
        return "required"
    return "" if parameter.default is None else str(parameter.default)


def _choices(parameters: Sequence[Parameter]) -> Iterator[str]:
    for parameter in parameters:
        if parameter.choices and _accepts(parameter).startswith("one of "):
            words = ", ".join(map(str, parameter.choices[:_IN_FULL]))
            more = f", ... ({len(parameter.choices)} in all; --json has them)" * (len(parameter.choices) > _IN_FULL)
            text = clean(f"{parameter.name}: {words}{more}")
            yield textwrap.fill(text, 100, initial_indent="\n", subsequent_indent="  ", break_on_hyphens=False)
