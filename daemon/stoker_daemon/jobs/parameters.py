"""Are the parameters of an item what its engine takes, and if not: which field, which value, and what would do?"""

import math
import sys
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from msgspec import Meta

from stoker_protocol.codec import did_you_mean
from stoker_protocol.errors import ErrorCode, Refused
from stoker_protocol.jobs import Parameter

_TYPES: dict[str, type | tuple[type, ...]] = {
    "integer": int,
    "number": (int, float),
    "string": str,
    "boolean": bool,
}

_LEAST, _MOST = -(2**63), 2**63 - 1
"""What msgspec can compare integers with."""
_LARGEST = sys.float_info.max
"""A bound that infinity and NaN are outside of."""

FEW_CHOICES = 8
"""So many choices are listed whole when a value is none of them."""


def check_parameters(given: Mapping[str, Any], known: Mapping[str, Parameter], field: str) -> None:
    """Check one item's parameters; `field` (`items[3].params`) begins the names in the refusal.

    Raises:
        Refused: `bad_request`: an unknown or missing parameter, a wrong type, or a value out of range.
    """
    check_values(given, known, field)
    for name, parameter in known.items():
        if parameter.required and name not in given:
            raise Refused(
                ErrorCode.BAD_REQUEST,
                f"{field}.{name} is missing",
                field=f"{field}.{name}",
                hint=accepted(parameter),
            )


def check_values(given: Mapping[str, Any], known: Mapping[str, Parameter], field: str) -> None:
    """Check parameters to which others will come.

    Raises:
        Refused: `bad_request`: an unknown parameter, a wrong type, or a value out of range.
    """
    for name, value in given.items():
        parameter = known.get(name)
        if parameter is None:
            raise _unknown(name, known, field)
        problem = _problem(value, parameter)
        if problem:
            raise Refused(
                ErrorCode.BAD_REQUEST,
                f"{field}.{name}: {value!r:.80} {problem}",
                field=f"{field}.{name}",
                hint=_meant(value, parameter) or accepted(parameter),
            )


def kind_of(parameter: Parameter) -> Any:
    """A type for msgspec that has no value in which `check_values` finds a fault; it may lack a few that are right.

    Raises:
        TypeError: There is none.
    """
    if parameter.choices is not None:
        return _one_of(parameter)
    if parameter.type not in ("integer", "number"):
        return _TYPES[parameter.type]
    low, high = parameter.minimum, parameter.maximum
    least = _LEAST if low is None else low
    most = _MOST if high is None else high
    is_exact = parameter.type == "integer" or (low in (None, float(least)) and high in (None, float(most)))
    if not is_exact or not -math.inf < least <= _MOST or not _LEAST <= most < math.inf:
        raise TypeError(f"{parameter.name} has bounds that no type describes")
    whole = Annotated[int, Meta(ge=max(math.ceil(least), _LEAST), le=min(math.floor(most), _MOST))]
    if parameter.type == "integer":
        return whole
    return whole | Annotated[float, Meta(ge=-_LARGEST if low is None else low, le=_LARGEST if high is None else high)]


def _one_of(parameter: Parameter) -> Any:
    right = [choice for choice in parameter.choices or [] if not _problem(choice, parameter)]
    if not right or not all(type(c) is str or (type(c) is int and _LEAST <= c <= _MOST) for c in right):
        raise TypeError(f"{parameter.name} has choices that no type describes")
    return Literal[*right]


def with_defaults(given: Mapping[str, Any], known: Mapping[str, Parameter]) -> dict[str, Any]:
    """The given parameters, and the defaults of those not given."""
    defaults = {name: p.default for name, p in known.items() if p.default is not None}
    return {**defaults, **given}


def accepted(parameter: Parameter) -> str:
    """What a parameter would accept, for a hint: `integer from 1 to 200`."""
    if parameter.choices is not None:
        return "one of: " + ", ".join(map(str, parameter.choices))
    low, high = parameter.minimum, parameter.maximum
    span = f" from {low}" if low is not None else ""
    span += f" {'to' if span else 'up to'} {high}" if high is not None else ""
    return parameter.type + span


def _meant(value: Any, parameter: Parameter) -> str:
    """Which of many choices somebody may have meant."""
    choices = [str(choice) for choice in parameter.choices or []]
    return did_you_mean(str(value), choices) if len(choices) > FEW_CHOICES else ""


def _unknown(name: str, known: Mapping[str, Parameter], field: str) -> Refused:
    names = [each for each in known if "." not in each]  # inputs of a workflow have too many
    hint = did_you_mean(name, known) or (f"parameters: {', '.join(names)}" if names else "it takes none")
    return Refused(
        ErrorCode.BAD_REQUEST, f"{field}: there is no parameter {name!r:.80}", field=f"{field}.{name:.80}", hint=hint
    )


def _problem(value: Any, parameter: Parameter) -> str:
    is_bool_for_number = isinstance(value, bool) and parameter.type != "boolean"
    if is_bool_for_number or not isinstance(value, _TYPES[parameter.type]):
        return f"is not {'an' if parameter.type == 'integer' else 'a'} {parameter.type}"
    if isinstance(value, float) and not math.isfinite(value):
        return "is not a finite number"
    if parameter.choices is not None and value not in parameter.choices:
        return "is not one of the choices"
    too_low = parameter.minimum is not None and value < parameter.minimum
    too_high = parameter.maximum is not None and value > parameter.maximum
    return "is out of range" if too_low or too_high else ""


def by_name(parameters: Sequence[Parameter]) -> dict[str, Parameter]:
    """Parameters for look-up."""
    return {parameter.name: parameter for parameter in parameters}
