"""Reads the configuration file, and says what is wrong with it so that it can be mended."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, cast, get_args, get_origin

import msgspec
from msgspec import Struct

from stoker_daemon.config.engines import KINDS, ModelConfig
from stoker_daemon.config.sections import (
    Config,
    ExecutionConfig,
    GpuConfig,
    LimitsConfig,
    MetricsConfig,
    PreflightConfig,
    ProfileConfig,
    RetentionConfig,
    SchedulingConfig,
    SmokeConfig,
)
from stoker_daemon.config.values import ConfigError
from stoker_daemon.recipes.command import READY_MADE, Command, CommandParameter
from stoker_daemon.scheduling.limits import PRESETS, ServerLimits
from stoker_protocol.codec import did_you_mean


def load(path: Path | None) -> Config:
    """Read a configuration file; without one, all is as the defaults say.

    Raises:
        ConfigError: The file can't be read, or says what makes no sense.
    """
    if path is None:
        return Config()
    raw = _read(path)
    try:
        tables = list(_tables(raw))
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None
    for key, kind, table in tables:
        try:
            msgspec.convert(table, kind)
        except msgspec.ValidationError as error:
            raise ConfigError(f"{path}: {_explain(error, key, kind, table)}") from None
    return msgspec.convert(_with_paths_from(path.parent, raw), Config)


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: {(error.strerror or str(error)).lower()}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not TOML: {error}") from None


def _tables(raw: dict[str, Any]) -> Iterator[tuple[str, type[Struct], Any]]:
    """Each table with its key, inner ones first: of a table in a table, msgspec does not say which one is wrong."""
    for name, table in _subtables(raw, "engines"):
        kind = cast("dict[str, Any]", table).setdefault("kind", "python") if isinstance(table, dict) else "python"
        if kind not in KINDS:
            raise ConfigError(f"engines.{name}.kind = {kind!r}: not one of {', '.join(KINDS)}")
        for word, command in _subtables(table, "commands") if kind == "command" else ():
            yield from _tables_of_command(f"engines.{name}.commands.{word}.", command)
        if kind in ("openai", "ollama") and isinstance(table, dict) and "limits" in table:
            yield from _table_of_limits(f"engines.{name}.limits.", cast("dict[str, Any]", table)["limits"])
        for word, model in _subtables(table, "models") if kind == "python" else ():
            yield f"engines.{name}.models.{word}.", ModelConfig, model
        yield f"engines.{name}.", KINDS[kind], table
    for name, table in _subtables(raw, "profiles"):
        yield f"profiles.{name}.", ProfileConfig, table
    yield "execution.", ExecutionConfig, raw.get("execution", {})
    yield "limits.", LimitsConfig, raw.get("limits", {})
    yield "scheduling.", SchedulingConfig, raw.get("scheduling", {})
    yield "retention.", RetentionConfig, raw.get("retention", {})
    yield "gpu.", GpuConfig, raw.get("gpu", {})
    for name, table in _subtables(raw.get("preflight"), "smoke"):
        yield f"preflight.smoke.{name}.", SmokeConfig, table
    yield "preflight.", PreflightConfig, raw.get("preflight", {})
    yield "metrics.", MetricsConfig, raw.get("metrics", {})
    yield "", Config, raw


def _tables_of_command(key: str, command: Any) -> Iterator[tuple[str, type[Struct], Any]]:
    """A command, with what its `kind` says beforehand if it is a ready-made one."""
    if isinstance(command, dict):
        table = cast("dict[str, Any]", command)
        kind = table.pop("kind", None)
        if kind is not None and kind not in READY_MADE:
            raise ConfigError(f"{key}kind = {kind!r}: not one of {', '.join(READY_MADE)}")
        for name, value in READY_MADE[kind].items() if kind else ():
            table.setdefault(name, value)
        for name, parameter in _subtables(table, "parameters"):
            yield f"{key}parameters.{name}.", CommandParameter, parameter
    yield key, Command, command


def _table_of_limits(key: str, limits: Any) -> Iterator[tuple[str, type[Struct], Any]]:
    """The limits of a server, with what suits one of its kind where a `preset` is named."""
    if isinstance(limits, dict):
        table = cast("dict[str, Any]", limits)
        preset = table.pop("preset", None)
        if preset is not None and preset not in PRESETS:
            raise ConfigError(f"{key}preset = {preset!r}: not one of {', '.join(PRESETS)}")
        for name, value in PRESETS[preset].items() if preset else ():
            table.setdefault(name, value)
    yield key, ServerLimits, limits


def _subtables(raw: Any, key: str) -> list[tuple[str, Any]]:
    tables = cast("dict[str, Any]", raw).get(key) if isinstance(raw, dict) else None
    return list(cast("dict[str, Any]", tables).items()) if isinstance(tables, dict) else []


def _with_paths_from(folder: Path, raw: dict[str, Any]) -> dict[str, Any]:
    for engine in raw.get("engines", {}).values():
        for key in ("python", "output_dir", "api_key_file", "cwd"):
            if key in engine:
                engine[key] = str(folder / engine[key])
        if engine["kind"] == "python":
            engine["python_path"] = [str(folder / path) for path in engine.get("python_path", [])]
        for command in engine.get("commands", {}).values():
            if "cwd" in command:
                command["cwd"] = str(folder / command["cwd"])
    if "recipes" in raw:
        raw["recipes"] = str(folder / raw["recipes"])
    return raw


def _explain(error: msgspec.ValidationError, prefix: str, kind: type[Struct], table: Any) -> str:
    what, _, place = str(error).partition(" - at `$")
    fields = {info.name: info.type for info in msgspec.structs.fields(kind)}
    if unknown := re.fullmatch(r"Object contains unknown field `(.*)`", what):
        hint = did_you_mean(unknown[1], fields) or f"known: {', '.join(fields)}"
        return f"there is no key {prefix}{unknown[1]}; {hint}"
    if missing := re.fullmatch(r"Object missing required field `(.*)`", what):
        return f"{prefix}{missing[1]} is missing"
    field = re.split(r"[`.\[]", place.removeprefix("."))[0]
    if get_origin(fields.get(field)) is Literal:
        what = f"not one of {', '.join(get_args(fields[field]))}"
    at = f"{prefix}{field} = {table[field]!r}" if field else prefix.rstrip(".")
    said = (what[:1].lower() + what[1:]).replace("`object`", "a table")
    return f"{at}: {said}".removeprefix(": ")
