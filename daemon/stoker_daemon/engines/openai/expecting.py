"""Whether an answer is what an item expects of it; one that is not is kept, and its item is rejected."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, cast

import jsonschema_rs
import msgspec

from stoker_protocol.codec import did_you_mean
from stoker_protocol.errors import ErrorCode, Refused

NAMES: dict[str, type] = {"min_length": int, "max_length": int, "matches": str, "lacks": str, "schema": dict}
"""What may be expected, and as what that is said."""
_HINT = '{"matches": "^(yes|no)$"}, {"lacks": "sorry"}, {"min_length": 20} or {"schema": {"type": "object"}}'


class Expectation:
    """What the text of an answer has to be like.

    It has from `min_length` to `max_length` characters; the regular expression `matches` is found in it and `lacks` is
    not; it is JSON that fits the JSON Schema `schema`. Expressions are those of RE2's kind, which take time in
    proportion to the text, and no schema is fetched from anywhere.
    """

    def __init__(self, wanted: Mapping[str, Any]) -> None:
        """Raises ValueError: a schema or an expression makes no sense."""
        self._text = _validator(_schema_of_text(wanted))
        self._json = _validator(wanted["schema"]) if "schema" in wanted else None

    def complaint(self, text: str) -> str:
        """What is wrong with an answer; empty: nothing."""
        if error := next(iter(self._text.iter_errors(text)), None):
            return _said(error, text)
        if self._json is None:
            return ""
        try:
            value = msgspec.json.decode(text)
        except (msgspec.DecodeError, RecursionError):
            return f"the answer is no JSON: {text!r:.80}"
        error = next(iter(self._json.iter_errors(value)), None)
        return _said(error, text) if error else ""


def expectation_of(value: Any, field: str) -> Expectation:
    """What the parameter `expect` says. Raises Refused: `bad_request`, naming the offending field."""
    if not isinstance(value, dict) or not value:
        raise _bad(field, f"{value!r:.80} is no map of what is expected", _HINT)
    wanted = cast("dict[str, Any]", value)
    for name, each in wanted.items():
        if name not in NAMES:
            raise _bad(f"{field}.{name:.80}", "can't be expected", did_you_mean(name, NAMES) or _HINT)
        if not isinstance(each, NAMES[name]) or isinstance(each, bool) or (isinstance(each, int) and each < 0):
            raise _bad(f"{field}.{name}", f"{each!r:.80} makes no sense", _HINT)
    try:
        return _made(msgspec.json.encode(wanted))
    except ValueError as error:
        message = str(error).partition("\n")[0]
        raise _bad(field, f"makes no sense: {message:.300}", "a JSON Schema; expressions without look-around") from None


@lru_cache(maxsize=256)
def _made(wanted: bytes) -> Expectation:
    """The items of a job mostly expect the same."""
    return Expectation(msgspec.json.decode(wanted))


def _schema_of_text(wanted: Mapping[str, Any]) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    for name, keyword in (("min_length", "minLength"), ("max_length", "maxLength"), ("matches", "pattern")):
        if name in wanted:
            schema[keyword] = wanted[name]
    return {**schema, "not": {"pattern": wanted["lacks"]}} if "lacks" in wanted else schema


def _validator(schema: dict[str, Any]) -> jsonschema_rs.Validator:
    return jsonschema_rs.validator_for(schema, pattern_options=jsonschema_rs.RegexOptions(), retriever=_refuse)


def _refuse(uri: str) -> Any:
    raise ValueError(f"{uri} is not fetched")


def _said(error: jsonschema_rs.ValidationError, text: str) -> str:
    place = "".join(f"[{part!r}]" for part in error.instance_path)
    return f"the answer is not as expected{f' at {place}' if place else ''}: {error.message:.200}; {text!r:.80}"


def _bad(field: str, what: str, hint: str) -> Refused:
    return Refused(ErrorCode.BAD_REQUEST, f"{field} {what}", field=field, hint=hint)
