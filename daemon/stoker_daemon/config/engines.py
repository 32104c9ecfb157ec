"""What the configuration may say of engines: `[engines.NAME]`, a struct for each kind."""

import re
import sys
from collections.abc import Mapping
from types import UnionType
from typing import Annotated, Any

from msgspec import Meta, Struct

from stoker_daemon.config.values import Seconds, check_name
from stoker_daemon.recipes.command import Command
from stoker_daemon.recipes.merging import MOST_ITEMS
from stoker_daemon.scheduling.limits import PRESETS, ServerLimits


class ModelConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[engines.NAME.models.MODEL]`: a model under the name by which jobs ask for it."""

    model: str
    """Its class: `package.module:Class`, or the name of an installed one."""
    options: dict[str, Any] = {}
    """What it is made with."""

    def __post_init__(self) -> None:
        _check_class(self.model)


class PythonConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind", tag="python"):
    """`[engines.NAME]`, `kind = "python"`, which may be left out: models in a worker process.

    Relative paths begin at the folder of the file.
    """

    model: str = ""
    """The model class, whose models are offered: `package.module:Class`, or the name of an installed one."""
    options: dict[str, Any] = {}
    """What the model class is made with."""
    models: dict[str, ModelConfig] = {}
    """Models by name, each with a class and options of its own, instead of one class."""
    python: str = sys.executable
    """The worker's interpreter, a path; by default the daemon's own."""
    python_path: tuple[str, ...] = ()
    """Folders where the worker also looks for modules."""
    lane: str = "gpu"
    """The lane that runs it; engines of one lane take turns."""
    cache_mb: Annotated[int, Meta(ge=0, le=64 << 20)] = 0
    """Megabytes that loaded models may hold together; 0: one model at a time."""
    memory_limit_mb: Annotated[int, Meta(ge=0, le=64 << 20)] = 0
    """Megabytes of the host's memory that the worker may have; 0: no limit."""
    start_timeout_s: Seconds = 60.0
    """Seconds until a started worker must have spoken."""
    load_timeout_s: Seconds = 600.0
    """Seconds until a model must be loaded."""

    def __post_init__(self) -> None:
        if bool(self.model) == bool(self.models):
            raise ValueError("model or models: one of them, please")
        if self.models and self.options:
            raise ValueError("options are of the one model class; those of models stand with each of them")
        if self.model:
            _check_class(self.model)
        for name in self.models:
            if not re.fullmatch(r"[\w.:/+-]{1,128}", name):
                raise ValueError(f"models: {name!r} is not a name of letters, digits and . : / + - _ (at most 128)")
        check_name("lane", self.lane)


def _check_class(name: str) -> None:
    if not re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*|[a-z0-9][a-z0-9_-]*", name):
        raise ValueError(f"model = {name!r} is not of the form package.module:Class, nor the name of an installed one")


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
    batch_size: Annotated[int, Meta(ge=1, le=MOST_ITEMS)] = 8
    """Most items that share a prompt; 1: each has its own."""
    read_ahead: bool = True
    """Read the files of the next model while this one is at work, if this host has the disk that they are on."""
    models_dir: str | None = None
    """The server's folder of models as this host sees it; by default a server on this host is asked."""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"https?://[^\s/]+(/[^\s]*)?", self.url):
            raise ValueError(f"url = {self.url!r} is not of the form http://host:port")
        if self.delete_outputs and self.output_dir is None:
            raise ValueError("delete_outputs needs output_dir: the server deletes nothing itself")
        check_name("lane", self.lane)


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
    limits: ServerLimits = ServerLimits()
    """How much may be asked of it."""
    swaps: bool = False
    """It loads models as they are asked for, one in place of another: work for one model is done together."""
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
            check_name("lane", self.lane)


class OllamaConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind", tag="ollama"):
    """`[engines.NAME]`, `kind = "ollama"`: an Ollama server."""

    url: str = "http://127.0.0.1:11434"
    """Where it listens."""
    lane: str = "gpu"
    """The lane that runs it; engines of one lane take turns."""
    model: str = ""
    """The model of jobs that name none; by default the server's first."""
    limits: ServerLimits = ServerLimits(**PRESETS["ollama"])
    """How much may be asked of it."""
    keep_alive: Annotated[str, Meta(pattern=r"^-?\d+(\.\d+)?(ms|s|m|h)$")] = "10m"
    """How long a model stays in memory that nobody asks, as Ollama writes it; `-1m`: until it is unloaded."""
    load_timeout_s: Seconds = 600.0
    """Seconds until a model must be loaded."""
    pull: bool = False
    """Let Ollama download models that jobs name and that it does not have."""
    pull_timeout_s: Seconds = 3600.0
    """Seconds until a model must be downloaded."""
    silence_s: Seconds = 120.0
    """Seconds that the server may be silent in the middle of a request."""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"https?://[^\s/@]+", self.url):
            raise ValueError(f"url = {self.url!r} is not of the form http://host:port")
        check_name("lane", self.lane)


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
            check_name("commands", word)
        if self.lane:
            check_name("lane", self.lane)


class MCPConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind", tag="mcp"):
    """`[engines.NAME]`, `kind = "mcp"`: tools of an MCP server that is started here. A relative `cwd` as above."""

    argv: Annotated[tuple[str, ...], Meta(min_length=1)]
    """The program that is the server, and its arguments: `["uvx", "mcp-server-git"]`."""
    tools: Annotated[tuple[str, ...], Meta(min_length=1)]
    """The tools that may be called; `["*"]`: all that it has."""
    env: tuple[str, ...] = ("PATH", "HOME", "LANG")
    """Variables that it gets: those of the daemon by their names, and `NAME=value`."""
    cwd: str | None = None
    """Where it runs; by default where the daemon does."""
    lane: str = ""
    """The lane that runs it; by default one of its own, named as the engine is. `gpu` if the tools use the GPU."""
    max_parallel: Annotated[int, Meta(ge=1, le=256)] = 4
    """Calls at a time."""
    max_output_mb: Annotated[int, Meta(ge=1, le=1024)] = 16
    """Megabytes that the answer to one call may have."""
    start_timeout_s: Seconds = 60.0
    """Seconds until a started server must have said what it offers."""

    def __post_init__(self) -> None:
        if self.lane:
            check_name("lane", self.lane)


class AgentConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind", tag="agent"):
    """`[engines.NAME]`, `kind = "agent"`: a language model that calls tools until its task is done."""

    chat: str
    """The engine of kind `openai` or `ollama` whose models it is, by its name."""
    tools: tuple[str, ...] = ()
    """The engines of kind `mcp` whose tools it may call, by their names."""
    validate_by: str = ""
    """What says whether a task is done: `engine.word` of an engine of kind `command`; by default the model itself."""
    system: str = ""
    """What the model is told before each task."""
    max_loops: Annotated[int, Meta(ge=1, le=1000)] = 10
    """How often the model is asked in one task at most; a job may say less."""
    max_parallel: Annotated[int, Meta(ge=1, le=256)] = 4
    """Tasks at a time."""
    lane: str = ""
    """The lane that runs it; by default that of its chat engine."""

    def __post_init__(self) -> None:
        if self.validate_by.count(".") > 1 or (self.validate_by and "." not in self.validate_by):
            raise ValueError(f"validate_by = {self.validate_by!r} is not of the form engine.word")
        if self.lane:
            check_name("lane", self.lane)


EngineConfig = PythonConfig | ComfyConfig | OpenAIConfig | OllamaConfig | CommandConfig | MCPConfig | AgentConfig


KINDS: dict[Any, type[Struct]] = {
    "python": PythonConfig,
    "comfyui": ComfyConfig,
    "openai": OpenAIConfig,
    "ollama": OllamaConfig,
    "command": CommandConfig,
    "mcp": MCPConfig,
    "agent": AgentConfig,
}


def check_agent(name: str, agent: AgentConfig, engines: Mapping[str, EngineConfig]) -> None:
    """Are the engines that an agent uses there? Raises ValueError."""
    commands, _, word = agent.validate_by.partition(".")
    wanted: list[tuple[str, str, type[Struct] | UnionType]] = [("chat", agent.chat, OpenAIConfig | OllamaConfig)]
    wanted += [("tools", each, MCPConfig) for each in agent.tools]
    wanted += [("validate_by", commands, CommandConfig)] if commands else []
    for key, used, kind in wanted:
        if not isinstance(engines.get(used), kind):
            known = [each for each, engine in engines.items() if isinstance(engine, kind)]
            such = f"such engines: {', '.join(known)}" if known else "there is no such engine"
            raise ValueError(f"engines.{name}.{key}: {used!r} is no engine for that; {such}")
    validator = engines.get(commands)
    if isinstance(validator, CommandConfig) and word not in validator.commands:
        words = ", ".join(validator.commands)
        raise ValueError(f"engines.{name}.validate_by: {commands} has no command {word!r}; its commands: {words}")
