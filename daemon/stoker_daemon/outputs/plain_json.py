"""JSON files for people and other programs: UTF-8, sorted, indented, and never at a loss for a value."""

from typing import Any, cast

import msgspec

_encoder = msgspec.json.Encoder(order="sorted", enc_hook=str)


def json_line(value: Any) -> str:
    """A value as one line of JSON; what JSON does not know becomes text."""
    return _encoder.encode(_with_text_keys(value)).decode()


def json_file(value: Any) -> bytes:
    """A value as the contents of a file."""
    return msgspec.json.format(json_line(value), indent=2).encode() + b"\n"


def _with_text_keys(value: Any) -> Any:
    if isinstance(value, dict):
        pairs = cast(dict[Any, Any], value).items()
        return {str(key): _with_text_keys(child) for key, child in pairs}
    if isinstance(value, list | tuple):
        return [_with_text_keys(child) for child in cast(list[Any], value)]
    return value
