"""What the configuration file may say, with every default, read from TOML and checked before anything starts."""

import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, cast, get_args, get_origin

import msgspec
from msgspec import Meta, Struct

from stoker_daemon.recipes.command import READY_MADE, Command, CommandParameter
from stoker_protocol.codec import did_you_mean

Seconds = Annotated[float, Meta(gt=0, le=30 * 86_400)]
Days = Annotated[float, Meta(ge=0, le=36_500)]


class ConfigError(Exception):
    """The configuration can't be used; the text names the file, the key, the value, and what would do."""


class PythonConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind", tag="python"):
    """`[engines.NAME]`, `kind = "python"`, which may be left out: models in a worker process.

    Relative paths begin at the folder of the file.
    """

    model: str
    """Where the model class is: `package.module:Class`."""
    options: dict[str, Any] = {}
    """What the model class is made with."""
    python: str = sys.executable
    """The worker's interpreter, a path; by default the daemon's own."""
    python_path: tuple[str, ...] = ()
    """Folders where the worker also looks for modules."""
    lane: str = "gpu"
    """The lane that runs it; engines of one lane take turns."""
    start_timeout_s: Seconds = 60.0
    """Seconds until a started worker must have spoken."""
    load_timeout_s: Seconds = 600.0
    """Seconds until a model must be loaded."""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*", self.model):
            raise ValueError(f"model = {self.model!r} is not of the form package.module:Class")
        _check_name("lane", self.lane)


class ComfyConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind", tag="comfyui"):
    """`[engines.NAME]`, `kind = "comfyui"`: a ComfyUI server. Relative paths begin at the folder of the file."""

    url: str
    """Where it listens: `http://host:port`."""
    lane: str = "gpu"
    """The lane that runs it; engines of one lane take turns."""
    recipe: str = "txt2img"
    """The recipe of jobs that name none."""
    model: str = ""
    """The checkpoint of jobs that name none; by default the server's first."""
    output_dir: str | None = None
    """The server's output folder, if this host sees it: outputs are read from there instead of over HTTP."""
    delete_outputs: bool = False
    """Delete outputs in `output_dir` once they are stored here."""
    restart_command: tuple[str, ...] = ()
    """What restarts a server that hangs, for instance `["systemctl", "restart", "comfyui"]`."""
    max_output_mb: Annotated[int, Meta(ge=1, le=16_384)] = 512
    """Megabytes that one output may have."""
    start_timeout_s: Seconds = 60.0
    """Seconds that a restarted server has to answer."""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"https?://[^\s/]+(/[^\s]*)?", self.url):
            raise ValueError(f"url = {self.url!r} is not of the form http://host:port")
        if self.delete_outputs and self.output_dir is None:
            raise ValueError("delete_outputs needs output_dir: the server deletes nothing itself")
        _check_name("lane", self.lane)


class OpenAIConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind", tag="openai"):
    """`[engines.NAME]`, `kind = "openai"`: a server that speaks OpenAI's API. Paths as above."""

    url: str
    """Where it is, as far as the version: `http://127.0.0.1:8080/v1`."""
    lane: str = ""
    """The lane that runs it; by default one of its own, named as the engine is. `gpu` if it is on this host's GPU."""
    model: str = ""
    """The model of jobs that name none; by default the server's first."""
    api_key_env: str = ""
    """The environment variable that holds the key."""
    api_key_file: str | None = None
    """The file that holds the key, instead."""
    max_parallel: Annotated[int, Meta(ge=1, le=1024)] = 8
    """Requests at a time; as many items share a run."""
    stream: bool = True
    """Take answers piece by piece, so that their progress is seen; false for a server that can't."""
    silence_s: Seconds = 120.0
    """Seconds that the server may be silent in the middle of a request."""

    def __post_init__(self) -> None:
        if "@" in self.url:
            raise ValueError("the url holds a password, perhaps; api_key_env or api_key_file say where the key is")
        if not re.fullmatch(r"https?://[^\s/]+(/[^\s?#]*)?", self.url):
            raise ValueError(f"url = {self.url!r} is not of the form http://host:port/v1")
        if self.api_key_env and self.api_key_file is not None:
            raise ValueError("api_key_env and api_key_file: one of them, please")
        if self.lane:
            _check_name("lane", self.lane)


class CommandConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind", tag="command"):
    """`[engines.NAME]`, `kind = "command"`: programs that jobs may run. Without this none may."""

    commands: Annotated[dict[str, Command], Meta(min_length=1)]
    """The commands by the word that a job says as its `recipe`; the first is meant where it says none."""
    lane: str = ""
    """The lane that runs it; by default one of its own, named as the engine is. `gpu` if the commands use the GPU."""
    max_parallel: Annotated[int, Meta(ge=1, le=256)] = 1
    """Commands at a time."""
    max_output_mb: Annotated[int, Meta(ge=1, le=1024)] = 16
    """Megabytes that the files of one item may have in all; as much is kept of what it writes to each stream."""

    def __post_init__(self) -> None:
        for word in self.commands:
            _check_name("commands", word)
        if self.lane:
            _check_name("lane", self.lane)


EngineConfig = PythonConfig | ComfyConfig | OpenAIConfig | CommandConfig
_KINDS: dict[Any, type[Struct]] = {
    "python": PythonConfig,
    "comfyui": ComfyConfig,
    "openai": OpenAIConfig,
    "command": CommandConfig,
}


class ProfileConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[profiles.NAME]`: defaults of a user's own, or other ones under the name of a built-in profile."""

    summary: str = ""
    """What it is good for."""
    batch_size: Annotated[int, Meta(ge=0, le=1024)] = 0
    """Most items in one run; 0: what the daemon finds best."""
    params: dict[str, Any] = {}
    """Defaults of parameters: steps, cfg, sampler, scheduler ..."""


class ExecutionConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[execution]`: when runs are stopped, and when items are tried again."""

    timeout_s: Seconds = 600.0
    """Seconds that one item may take, unless its job says otherwise."""
    no_progress_s: Seconds = 120.0
    """Seconds that a run may be silent, unless its job says otherwise."""
    interrupt_grace_s: Seconds = 5.0
    """Seconds from asking a run to stop until its process is asked to end."""
    terminate_grace_s: Seconds = 3.0
    """Seconds from asking a process to end until it is killed."""
    stop_grace_s: Seconds = 20.0
    """Seconds that a stopping daemon gives the runs at work."""
    open_idle_s: Seconds = 3600.0
    """Seconds without new items after which an open job is held back."""
    max_pending: Annotated[int, Meta(ge=1, le=100_000_000)] = 5_000_000
    """Items that may wait in all before no more are taken; 5 million are some 3 GB of database."""
    backoff_base_s: Seconds = 1.0
    """Seconds before the first retry of an item."""
    backoff_factor: Annotated[float, Meta(ge=1, le=100)] = 2.0
    """How many times longer each further retry waits."""
    backoff_max_s: Seconds = 300.0
    """Seconds that a retry waits at most."""
    crash_limit: Annotated[int, Meta(ge=1, le=100)] = 3
    """How often an item's own run may kill the engine's process before the item is failed."""


class RetentionConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[retention]`: when what is old is removed; 0: never."""

    events_days: Days = 30.0
    """Days that events are kept; who was away for longer takes a snapshot instead."""
    jobs_days: Days = 0.0
    """Days after their end that jobs are kept, with their files."""


def _default_engines() -> dict[str, EngineConfig]:
    return {"sprites": PythonConfig(model="stoker_worker.models.sprites:Sprites")}


class Config(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The whole file."""

    local_role: Literal["view", "submit", "admin"] = "admin"
    """What callers on this machine may do."""
    engines: Annotated[dict[str, EngineConfig], Meta(min_length=1)] = msgspec.field(default_factory=_default_engines)
    """The engines by name; the first is meant where a job names none."""
    recipes: str | None = None
    """A folder with recipes of your own."""
    profiles: dict[str, ProfileConfig] = {}
    """Profiles beside the built-in ones."""
    execution: ExecutionConfig = ExecutionConfig()
    retention: RetentionConfig = RetentionConfig()

    def __post_init__(self) -> None:
        for key, names in (("engines", self.engines), ("profiles", self.profiles)):
            for name in names:
                _check_name(key, name)

    def with_comfyui(self, url: str) -> "Config":
        """The same with a ComfyUI server in front, as engine `comfyui`. Raises ConfigError."""
        try:
            comfyui = ComfyConfig(url=url)
        except ValueError as error:
            raise ConfigError(f"--comfyui: {error}") from None
        return msgspec.structs.replace(self, engines={"comfyui": comfyui, **self.engines})


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


def _check_name(key: str, name: str) -> None:
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,63}", name):
        raise ValueError(f"{key}: {name!r} is not a name of lower-case letters, digits, - and _ (at most 64)")


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
        if kind not in _KINDS:
            raise ConfigError(f"engines.{name}.kind = {kind!r}: not one of {', '.join(_KINDS)}")
        for word, command in _subtables(table, "commands") if kind == "command" else ():
            yield from _tables_of_command(f"engines.{name}.commands.{word}.", command)
        yield f"engines.{name}.", _KINDS[kind], table
    for name, table in _subtables(raw, "profiles"):
        yield f"profiles.{name}.", ProfileConfig, table
    yield "execution.", ExecutionConfig, raw.get("execution", {})
    yield "retention.", RetentionConfig, raw.get("retention", {})
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


def _subtables(raw: Any, key: str) -> list[tuple[str, Any]]:
    tables = raw.get(key)
    return list(cast("dict[str, Any]", tables).items()) if isinstance(tables, dict) else []


def _with_paths_from(folder: Path, raw: dict[str, Any]) -> dict[str, Any]:
    for engine in raw.get("engines", {}).values():
        for key in ("python", "output_dir", "api_key_file"):
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
