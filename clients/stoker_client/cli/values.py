"""Values as they are typed after an option: `NAME=VALUE`, `64x32`, `auto`; each refused with what would do."""

import math
import re
from typing import get_args

import click

from stoker_protocol.jobs import MAX_ITEMS, Level

Value = int | float | bool | str

LEVELS = get_args(Level)
LEVEL_HELP = "How equal items that share a run must be to what they are alone.  [default: close]"

_INTEGER = re.compile(r"[+-]?\d+")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_SIZE = re.compile(r"(\d{1,9})(?:[xX](\d{1,9}))?")
_AGE = re.compile(r"(\d{1,6}(?:\.\d{1,3})?) ?([smhdw])")
_UNITS_S = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}
_WORDS = {"true": True, "false": False}


def setting(text: str) -> tuple[str, Value]:
    """`NAME=VALUE`; what reads as a whole number, a number, true or false is one, anything else is text."""
    name, value = label(text)
    return name, _typed(value)


def label(text: str) -> tuple[str, str]:
    """`NAME=VALUE`; the value is text whatever it looks like, so that `007` stays itself."""
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise click.BadParameter(f"{text!r} is not of the form NAME=VALUE")
    return name.strip(), value


def size(text: str) -> tuple[int, int]:
    """`64x32` (width, then height) or `64` (both)."""
    match = _SIZE.fullmatch(text)
    if match is None:
        raise click.BadParameter(f"{text!r} is no size; 64x32 or 64 is one")
    return int(match[1]), int(match[2] or match[1])


def age(text: str) -> float:
    """`90s`, `30m`, `12h`, `30d` or `8w`, in seconds."""
    match = _AGE.fullmatch(text.lower())
    if not match:
        raise click.BadParameter(f"{text!r} is no age; 30d, 12h, 90m or 8w is one")
    return float(match[1]) * _UNITS_S[match[2]]


def batch_size(text: str) -> int:
    """A number from 1 to 1024, or `auto`, which is 0 on the wire."""
    if text == "auto":
        return 0
    if not text.isdecimal() or not 1 <= int(text) <= 1024:
        raise click.BadParameter(f"{text!r} is neither auto nor a number from 1 to 1024")
    return int(text)


def at_once(text: str) -> int:
    """A number of items from 1 on, or `all`, which is 0 on the wire."""
    if text == "all":
        return 0
    if not text.isdecimal() or not 1 <= int(text) <= MAX_ITEMS:
        raise click.BadParameter(f"{text!r} is neither all nor a number from 1 to {MAX_ITEMS}")
    return int(text)


def _typed(text: str) -> Value:
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if _INTEGER.fullmatch(text):
        if not -(2**63) <= int(text) < 2**64:
            raise click.BadParameter(f"{text} has more than 64 bits")
        return int(text)
    if _NUMBER.fullmatch(text):
        if not math.isfinite(float(text)):
            raise click.BadParameter(f"{text} is too large for a number")
        return float(text)
    return text
