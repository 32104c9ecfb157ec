"""The check of an item's parameters: what passes, and what a refusal says."""

import math
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stoker_daemon.jobs.parameters import accepted, by_name, check_parameters, kind_of, with_defaults
from stoker_protocol import codec
from stoker_protocol.errors import ErrorCode, Refused
from stoker_protocol.jobs import MAX_SEED, Parameter

KNOWN = by_name(
    [
        Parameter("prompt", "string", required=True),
        Parameter("seed", "integer", minimum=0, maximum=MAX_SEED),
        Parameter("steps", "integer", default=8, minimum=1, maximum=200),
        Parameter("guidance", "number", default=7.5, minimum=0.5),
        Parameter("size", "integer", default=32, choices=[16, 32, 64]),
        Parameter("tiled", "boolean", default=False),
    ]
)


@pytest.mark.parametrize(
    "given",
    [
        {"prompt": ""},
        {"prompt": "a dragon", "seed": 0, "steps": 1, "guidance": 0.5, "size": 16, "tiled": True},
        {"prompt": "a dragon", "seed": MAX_SEED, "steps": 200, "guidance": 3, "size": 64, "tiled": False},
    ],
)
def test_good_parameters_pass(given: dict[str, Any]) -> None:
    """Values of the right type pass up to and including their limits, and a number may be whole."""
    check_parameters(given, KNOWN, "params")


def takes(known: Mapping[str, Parameter], given: Any) -> bool:
    """What the quick test says of an item's parameters."""
    kinds = {name: kind_of(parameter) for name, parameter in known.items()}
    return codec.taker(kinds, {name for name, parameter in known.items() if parameter.required})([codec.pack(given)])


@pytest.mark.parametrize("missing", ["", "prompt", "seed", "steps", "guidance", "size", "tiled"])
def test_the_quick_test_takes_what_is_right(missing: str) -> None:
    """Good parameters are taken at the first look, with and without those that may be missing."""
    good = {"prompt": "a dragon", "seed": 0, "steps": 1, "guidance": 1, "size": 16, "tiled": True}
    given = {name: value for name, value in good.items() if name != missing}
    assert takes(KNOWN, given) == (missing != "prompt")
    assert not takes(KNOWN, {**good, "hat": 1})
    assert not takes(KNOWN, ["prompt"])


small = st.sampled_from([0, 1, 1.0, 1.5, 2, True, "a", "b"])
numbers = st.integers(-(2**63), 2**64 - 1) | st.floats()
values = small | numbers | st.text(max_size=2) | st.none() | st.lists(st.integers(), max_size=1)
bounds = st.none() | small.filter(lambda bound: not isinstance(bound, str)) | st.integers() | st.floats(allow_nan=False)


@example("number", 2**53 + 1, None, None, 2.0**53)
@example("number", None, 2**53, None, 2**53 + 1)
@example("integer", 0.5, 1.5, None, 2)
@example("integer", 2**64, None, None, 2**63)
@example("number", None, math.inf, None, math.inf)
@example("integer", None, None, [True, 2], 1)
@example("string", None, None, [1], 1)
@example("integer", None, None, [2**63], 2**63)
@given(
    st.sampled_from(["integer", "number", "string", "boolean"]),
    bounds,
    bounds,
    st.none() | st.lists(values, max_size=3),
    values,
)
def test_the_quick_test_takes_nothing_else(
    kind: Any, low: Any, high: Any, choices: list[Any] | None, value: Any
) -> None:
    """Whatever is taken at the first look is right at the second too, and what has no type is left to that."""
    if kind in ("string", "boolean"):
        low = high = None
    known = by_name([Parameter("p", kind, minimum=low, maximum=high, choices=choices)])
    try:
        is_taken = takes(known, {"p": value})
    except TypeError:
        return
    if is_taken:
        check_parameters({"p": value}, known, "params")


@pytest.mark.parametrize(
    ("name", "value", "problem", "hint"),
    [
        ("prompt", None, "None is not a string", "string"),
        ("prompt", 5, "5 is not a string", "string"),
        ("prompt", ["a"], "['a'] is not a string", "string"),
        ("steps", 0, "0 is out of range", "integer from 1 to 200"),
        ("steps", 201, "201 is out of range", "integer from 1 to 200"),
        ("steps", 8.0, "8.0 is not an integer", "integer from 1 to 200"),
        ("steps", True, "True is not an integer", "integer from 1 to 200"),
        ("steps", "8", "'8' is not an integer", "integer from 1 to 200"),
        ("seed", -1, "-1 is out of range", f"integer from 0 to {MAX_SEED}"),
        ("seed", 2**63, f"{2**63} is out of range", f"integer from 0 to {MAX_SEED}"),
        ("guidance", math.nan, "nan is not a finite number", "number from 0.5"),
        ("guidance", math.inf, "inf is not a finite number", "number from 0.5"),
        ("guidance", 0.25, "0.25 is out of range", "number from 0.5"),
        ("guidance", False, "False is not a number", "number from 0.5"),
        ("size", 17, "17 is not one of the choices", "one of: 16, 32, 64"),
        ("tiled", 1, "1 is not a boolean", "boolean"),
        ("tiled", "yes", "'yes' is not a boolean", "boolean"),
    ],
)
def test_a_bad_value_is_explained(name: str, value: object, problem: str, hint: str) -> None:
    """A wrong value is refused with its field, itself, what is wrong with it, and what would do."""
    refused = refusal({"prompt": "a dragon", name: value}, "items[3].params")
    assert refused.message == f"items[3].params.{name}: {problem}"
    assert (refused.field, refused.hint) == (f"items[3].params.{name}", hint)


def test_limits_stay_exact_over_the_wire() -> None:
    """The largest seed is still the limit after a worker's words went through msgpack, where a float would round it."""
    wired = msgspec.msgpack.decode(msgspec.msgpack.encode(KNOWN["seed"]), type=Parameter)
    check_parameters({"seed": MAX_SEED}, by_name([wired]), "params")
    with pytest.raises(Refused, match="out of range"):
        check_parameters({"seed": MAX_SEED + 1}, by_name([wired]), "params")


def test_a_missing_parameter_is_named() -> None:
    """A required parameter that is not given is refused with its field and what it takes."""
    refused = refusal({}, "params")
    assert (refused.message, refused.field, refused.hint) == ("params.prompt is missing", "params.prompt", "string")


def test_a_slip_of_the_pen_gets_a_suggestion() -> None:
    """A parameter that nobody knows is refused with the nearest names."""
    refused = refusal({"prompt": "a", "step": 3}, "params")
    assert refused.message == "params: there is no parameter 'step'"
    assert (refused.field, refused.hint) == ("params.step", "did you mean steps?")


def test_a_strange_parameter_gets_the_list() -> None:
    """A parameter that resembles none is refused with all names."""
    assert refusal({"qqq": 1}, "params").hint == "parameters: prompt, seed, steps, guidance, size, tiled"


def test_a_refusal_stays_short() -> None:
    """However long a name or a value is, the refusal quotes only its beginning."""
    for long in ({"x" * 200_000: 1}, {"prompt": "a", "steps": "9" * 200_000}):
        refused = refusal(long, "params")
        assert max(map(len, (refused.message, refused.field, refused.hint))) < 200


def test_defaults_fill_what_was_not_given() -> None:
    """Parameters that were not given get their defaults, given ones win, and one without a default stays absent."""
    assert with_defaults({"prompt": "a", "steps": 3}, KNOWN) == {
        "prompt": "a",
        "steps": 3,
        "guidance": 7.5,
        "size": 32,
        "tiled": False,
    }


@pytest.mark.parametrize(
    ("parameter", "words"),
    [
        (Parameter("a", "string"), "string"),
        (Parameter("a", "number", minimum=0.5, maximum=2), "number from 0.5 to 2"),
        (Parameter("a", "integer", maximum=9), "integer up to 9"),
        (Parameter("a", "string", choices=["x", "y"]), "one of: x, y"),
    ],
)
def test_words_for_what_is_accepted(parameter: Parameter, words: str) -> None:
    """A hint says the type and the limits, or the choices."""
    assert accepted(parameter) == words


def refusal(given: dict[str, Any], field: str) -> Refused:
    """How these parameters are refused."""
    with pytest.raises(Refused) as caught:
        check_parameters(given, KNOWN, field)
    assert caught.value.code is ErrorCode.BAD_REQUEST
    return caught.value


def test_a_hint_names_no_inputs_of_workflows() -> None:
    """Of a workflow the parameters are listed that have names, and not its many inputs."""
    known = by_name([Parameter("steps", "integer"), Parameter("3.steps", "integer")])
    with pytest.raises(Refused) as refused:
        check_parameters({"zzz": 1}, known, "params")
    assert refused.value.hint == "parameters: steps"
