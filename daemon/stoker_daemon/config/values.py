"""What values of several sections have in common: their units, their names, and the error that tells of them."""

import re
from typing import Annotated

from msgspec import Meta

Seconds = Annotated[float, Meta(gt=0, le=30 * 86_400)]
Days = Annotated[float, Meta(ge=0, le=36_500)]


class ConfigError(Exception):
    """The configuration can't be used; the text names the file, the key, the value, and what would do."""


def check_name(key: str, name: str) -> None:
    """Raise ValueError for a name that is more than a word: it goes into paths, topics and commands."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,63}", name):
        raise ValueError(f"{key}: {name!r} is not a name of lower-case letters, digits, - and _ (at most 64)")
