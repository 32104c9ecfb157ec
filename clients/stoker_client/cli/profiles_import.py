"""Profiles from a YAML file of another program, as tables for the daemon's configuration."""

import json
import math
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, cast

MAX_BATCH = 1024

_SPELLINGS: dict[str, tuple[str, type]] = {
    "steps": ("steps", int),
    "numsteps": ("steps", int),
    "inferencesteps": ("steps", int),
    "numinferencesteps": ("steps", int),
    "cfg": ("cfg", float),
    "cfgscale": ("cfg", float),
    "guidance": ("cfg", float),
    "guidancescale": ("cfg", float),
    "sampler": ("sampler", str),
    "samplername": ("sampler", str),
    "scheduler": ("scheduler", str),
    "schedulername": ("scheduler", str),
    "denoise": ("denoise", float),
    "denoisingstrength": ("denoise", float),
    "width": ("width", int),
    "height": ("height", int),
    "negative": ("negative", str),
    "negativeprompt": ("negative", str),
    "model": ("model", str),
    "checkpoint": ("model", str),
    "vae": ("vae", str),
    "lora": ("lora", str),
    "lorastrength": ("lora_strength", float),
    "loraweight": ("lora_strength", float),
}
"""How other programs spell parameters, in small letters without anything else, and what they are here."""
_SUMMARIES = ("description", "summary", "name")
_WORDS = {int: "a whole number", float: "a number", str: "a text"}


class BadProfiles(ValueError):
    """A file of profiles can't be used; the text names the profile, the key, the value, and what would do."""


class NoYaml(Exception):
    """PyYAML is not installed; the text says what to do."""


@dataclass(frozen=True, slots=True)
class ImportedProfile:
    """One profile; `left_out` are the keys that nothing here corresponds to."""

    name: str
    summary: str
    batch_size: int
    params: dict[str, Any] = field(default_factory=dict[str, Any])
    left_out: tuple[str, ...] = ()


def read_profiles(text: str) -> list[ImportedProfile]:
    """The profiles of a YAML file: a map of them, by itself or under `profiles`.

    Raises:
        BadProfiles: It is not YAML, or a profile can't be used.
        NoYaml: PyYAML is not installed.
    """
    content = _yaml(text)
    tables: Any = cast("dict[Any, Any]", content).get("profiles", content) if isinstance(content, dict) else None
    if not isinstance(tables, dict) or not tables:
        raise BadProfiles("there are no profiles: expected a map of names to settings, by itself or under `profiles`")
    found = [_profile(str(name), table) for name, table in cast("dict[Any, Any]", tables).items()]
    names = [profile.name for profile in found]
    if doubles := sorted({name for name in names if names.count(name) > 1}):
        raise BadProfiles(f"two profiles would be called {doubles[0]!r}: rename one of them")
    return found


def as_toml(profiles: list[ImportedProfile]) -> str:
    """What to put into the daemon's configuration."""
    return "\n".join("\n".join(_lines(profile)) + "\n" for profile in profiles)


def _yaml(text: str) -> Any:
    try:
        import yaml  # an extra that few need
    except ImportError:
        raise NoYaml('YAML files need PyYAML: pip install "stoker[yaml]"') from None
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise BadProfiles(f"not YAML: {' '.join(str(error).split())}") from None


def _profile(called: str, table: Any) -> ImportedProfile:
    name = re.sub(r"[^a-z0-9_]+", "-", called.lower()).strip("-_")[:64]
    if not name:
        raise BadProfiles(f"{called!r} is no name for a profile: it needs a letter or digit")
    if not isinstance(table, dict):
        raise BadProfiles(f"{called}: {table!r:.80} is no map of settings")
    said = {str(key): value for key, value in cast("dict[Any, Any]", table).items() if value is not None}
    params: dict[str, Any] = {}
    left_out: list[str] = []
    for key, value in said.items():
        spelling = re.sub(r"[^a-z]", "", key.lower())
        if spelling in _SPELLINGS:
            parameter, kind = _SPELLINGS[spelling]
            if parameter in params:
                raise BadProfiles(f"{called}.{key}: {parameter} is said twice")
            params[parameter] = _value(f"{called}.{key}", value, kind)
        elif spelling != "batchsize" and key not in _SUMMARIES:
            left_out.append(key)
    summary = next((str(said[key]) for key in _SUMMARIES if key in said), "")
    if not params:
        raise BadProfiles(f"{called}: none of its keys is known here: {', '.join(said) or 'it has none'}")
    return ImportedProfile(name, summary, _batch_size(called, said), params, tuple(left_out))


def _batch_size(called: str, said: dict[str, Any]) -> int:
    key = next((key for key in said if re.sub(r"[^a-z]", "", key.lower()) == "batchsize"), None)
    size = 0 if key is None else _value(f"{called}.{key}", said[key], int)
    if not 0 <= size <= MAX_BATCH:
        raise BadProfiles(f"{called}.{key} = {size}: expected 0 to {MAX_BATCH}")
    return size


def _value(place: str, value: Any, kind: type) -> Any:
    """A value of the type that the parameter has; numbers may be written as texts."""
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        with suppress(ValueError, OverflowError):
            converted = kind(value)
            if kind is str or (math.isfinite(converted) and (isinstance(value, str) or converted == value)):
                return converted
    raise BadProfiles(f"{place} = {value!r:.80}: expected {_WORDS[kind]}")


def _lines(profile: ImportedProfile) -> Iterator[str]:
    yield f"[profiles.{profile.name}]"
    if profile.summary:
        yield f"summary = {_toml(profile.summary)}"
    if profile.batch_size:
        yield f"batch_size = {profile.batch_size}"
    yield f"params = {{ {', '.join(f'{name} = {_toml(value)}' for name, value in profile.params.items())} }}"
    if profile.left_out:
        yield f"# not known here: {_toml(', '.join(profile.left_out))}"


def _toml(value: str | float) -> str:
    """A value in TOML: texts as in JSON, except that TOML wants one more character escaped."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007F")
