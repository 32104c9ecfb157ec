"""Makes what the configuration names: engines, and who is let in; with `main` the only reader of the configuration."""

# Engines that bring an HTTP client or an SDK are imported by what makes them: whoever has none holds 10 MiB less.

import os
import pwd
from collections import defaultdict
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, cast

import structlog
from msgspec import structs

from stoker_daemon.admin.surroundings import Named
from stoker_daemon.config import (
    AgentConfig,
    ComfyConfig,
    CommandConfig,
    Config,
    ConfigError,
    EngineConfig,
    MCPConfig,
    OllamaConfig,
    OpenAIConfig,
    PythonConfig,
    SchedulingConfig,
    compare,
)
from stoker_daemon.engines.command import CommandEngine, environment
from stoker_daemon.engines.leftover import end_leftover
from stoker_daemon.engines.python import PythonEngine
from stoker_daemon.execution.lane import Lane
from stoker_daemon.execution.room import Room
from stoker_daemon.execution.smoke import Smoke, SmokeItem
from stoker_daemon.execution.supervisor import Patience
from stoker_daemon.execution.watch import Watch
from stoker_daemon.execution.world import LaneSettings, World
from stoker_daemon.jobs.records import Signature
from stoker_daemon.ports import Blobs, Engine
from stoker_daemon.recipes.library import Library
from stoker_daemon.scheduling import policy
from stoker_daemon.scheduling.deciding import ByKey, Decider, InWaves
from stoker_daemon.scheduling.dials import PRESETS, Dials
from stoker_daemon.scheduling.estimating import Keeps
from stoker_daemon.scheduling.preflight import Thresholds
from stoker_daemon.scheduling.residency import Key, Pins
from stoker_daemon.scheduling.retry import RetryPolicy
from stoker_daemon.zmq import keyring
from stoker_daemon.zmq.admission import RESERVED, LocalRules
from stoker_daemon.zmq.doors import Doors
from stoker_daemon.zmq.security import Locks
from stoker_daemon.zmq.shares import Share
from stoker_protocol.errors import Refused
from stoker_protocol.replies import Finding
from stoker_protocol.requests import Role
from stoker_protocol.worker import Hosted

if TYPE_CHECKING:
    from stoker_daemon.engines.comfyui import ComfyEngine
    from stoker_daemon.engines.openai import OpenAIEngine

SERVER_LOOK_S = 60.0
"""How long an engine may look whether its server is there."""

PlainConfig = PythonConfig | ComfyConfig | OpenAIConfig | OllamaConfig | CommandConfig | MCPConfig
"""Of engines that need no other engine."""

log = structlog.get_logger()


def build_engines(config: Config, data_dir: Path, library: Library, blobs: Blobs) -> dict[str, Engine]:
    """The engines of the config, after ending what an earlier daemon's engines left on the GPU.

    Raises:
        ConfigError: An engine is to use what there is not.
    """
    workers = data_dir / "workers"
    workers.mkdir(exist_ok=True)
    for pid_file in workers.glob("*.pid"):
        if pid := end_leftover(pid_file):
            log.warning("ended a worker that an earlier daemon left", pid=pid, engine=pid_file.stem)
    agents = {name: each for name, each in config.engines.items() if isinstance(each, AgentConfig)}
    built = {
        name: _build(name, engine, config, data_dir, library, blobs)
        for name, engine in config.engines.items()
        if not isinstance(engine, AgentConfig)
    }
    built |= {name: _build_agent(name, agent, config, built) for name, agent in agents.items()}
    return {name: built[name] for name in config.engines}


def in_force(config: Config, file: Path | None, read: Callable[[], Config]) -> Finding:
    """Whether what the configuration file says now is what holds; `read` reads it once more."""
    part = "configuration"
    if file is None:
        return Finding(part, ok=True, detail="there is no file, all is as by default")
    try:
        changes = compare(config, read())
    except ConfigError as error:
        advice = "mend it; the daemon goes on with what it read before, and would not start again"
        return Finding(part, ok=False, detail=str(error), advice=advice)
    if not changes:
        return Finding(part, ok=True, detail=f"as {file} says")
    keys = ", ".join(change.key for change in changes)
    advice = "stoker reload" if all(change.is_applied for change in changes) else "restart the daemon to have it so"
    return Finding(part, ok=True, detail=f"{file} was changed, and does not hold yet: {keys}", advice=advice)


def named_files(config: Config) -> list[Named]:
    """What the configuration names of the host's files and folders."""
    named = [] if config.recipes is None else [Named("recipes", Path(config.recipes))]
    for name, engine in config.engines.items():
        key = f"engines.{name}"
        match engine:
            case PythonConfig():
                named.append(Named(f"{key}.python", Path(engine.python), os.X_OK))
                named += [Named(f"{key}.python_path", Path(folder)) for folder in engine.python_path]
            case ComfyConfig() if engine.output_dir is not None:
                need = os.R_OK | os.W_OK if engine.delete_outputs else os.R_OK
                named.append(Named(f"{key}.output_dir", Path(engine.output_dir), need))
            case OpenAIConfig() if engine.api_key_file is not None:
                named.append(Named(f"{key}.api_key_file", Path(engine.api_key_file), is_secret=True))
            case MCPConfig() if engine.cwd is not None:
                named.append(Named(f"{key}.cwd", Path(engine.cwd)))
            case _:
                pass
    return named


def build_thresholds(config: Config) -> Thresholds:
    """When no run begins."""
    said = config.preflight
    return Thresholds(said.max_gpu_percent, said.min_memory_gb, said.min_disk_gb, config.gpu.device)


def build_smoke(config: Config) -> Smoke:
    """What engines have to do before work begins."""
    said = config.preflight.smoke
    return Smoke({name: SmokeItem(each.params, each.recipe, each.timeout_s) for name, each in said.items()})


def is_on_gpu(engine: EngineConfig) -> bool:
    """Whether an engine computes on this host's GPU, so that its lane waits for it."""
    return isinstance(engine, PythonConfig | ComfyConfig) or engine.lane == "gpu"


def in_slots(config: Config, lane: str) -> bool:
    """Whether several runs of a lane are at work at a time: where it makes no difference which model they want."""
    engines = [engine for name, engine in config.engines.items() if (engine.lane or name) == lane]
    return all(isinstance(each, OpenAIConfig) and not each.swaps and not is_on_gpu(each) for each in engines)


def further_slots(config: Config, engines: Mapping[str, Engine]) -> list[Callable[[], bool]]:
    """For each run that the engines of a lane may have at work besides a first one, whether they take it now."""
    asked = _openai_engines(config, engines)

    def takes(number: int) -> bool:
        there = [engine for engine in asked if engine.facts().state == "ready"]
        return number < sum(engine.limit for engine in there)

    most = sum(each.limits.most for name in engines if isinstance(each := config.engines[name], OpenAIConfig))
    return [partial(takes, number) for number in range(1, most)]


def build_lanes(config: Config, engines: Mapping[str, Engine], world: World, watched: Watch) -> list[Lane]:
    """The lanes, and after them further ones for those whose engines have several runs at work at a time."""
    of_lane: defaultdict[str, dict[str, Engine]] = defaultdict(dict)
    for name, engine in config.engines.items():
        of_lane[engine.lane or name][name] = engines[name]
    settings = lane_settings(config)
    lanes: list[Lane] = []
    further: list[Lane] = []
    for name, mine in of_lane.items():
        decider = build_decider(config, mine, world.clock.now_ms())
        on_gpu = any(is_on_gpu(config.engines[each]) for each in mine)
        checks = watched.preflight.on_gpu if on_gpu else watched.preflight.everywhere
        pins = build_pins(config, mine)
        room = Room(name, mine if on_gpu else {}, watched, decider.load_s, config.gpu.idle_unload_s, pins)
        lanes.append(Lane(name, mine, decider, world, settings, checks, room))
        for number, takes in enumerate(further_slots(config, mine) if in_slots(config, name) else [], start=2):
            further.append(Lane(f"{name}.{number}", mine, decider, world, settings, checks, room, takes))
    return lanes + further


def reader_ahead(config: Config, engines: Mapping[str, Engine]) -> Callable[[Key], None]:
    """Has the host read the files of a model that is to be loaded soon, if its engine knows where they are."""
    able = {engine.name: engine for engine in _comfy_engines(config, engines)}

    def read(key: Key) -> None:
        if key.engine in able:
            able[key.engine].read_ahead(key.residency)

    return read


def build_decider(config: Config, engines: Mapping[str, Engine], now_ms: int) -> Decider:
    """Who decides for the lane of these engines; where no model has to be loaded, waves would have no use."""

    def most(signature: Signature) -> int:
        return engines[signature.engine].max_batch(signature)

    if all(in_slots(config, config.engines[name].lane or name) for name in engines):
        return ByKey(policy.in_turn, most, one_job=False)
    if not any(is_on_gpu(config.engines[name]) for name in engines):
        return ByKey(policy.strict, most, one_job=not any(_swaps(config.engines[name]) for name in engines))
    if config.scheduling.policy == "strict":
        return ByKey(policy.strict, most)
    if config.scheduling.policy == "fifo":
        return ByKey(policy.fifo, most)

    asked = _openai_engines(config, engines)

    def loaded() -> list[Key]:
        residents = [(name, each.residency) for name, engine in engines.items() for each in engine.residents()]
        residents += [(each.name, each.presumed) for each in asked]
        return [Key(name, residency) for name, residency in residents if residency]

    telling = _comfy_engines(config, engines)

    def keeps() -> dict[str, Keeps]:
        return {engine.name: engine.keeps() for engine in telling}

    slots, pins = config.scheduling.resident_models, build_pins(config, engines)
    return InWaves(_dials(config.scheduling), most, loaded, now_ms, Lock(), slots, pins, keeps)


def build_pins(config: Config, engines: Container[str]) -> Pins:
    """The pinned models of these engines."""
    pins = (Key(engine, model) for engine, _, model in (pin.partition("/") for pin in config.scheduling.pins))
    return Pins(frozenset(pin for pin in pins if pin.engine in engines))


def _comfy_engines(config: Config, engines: Mapping[str, Engine]) -> list["ComfyEngine"]:
    return [cast("ComfyEngine", engines[name]) for name in engines if isinstance(config.engines[name], ComfyConfig)]


def _openai_engines(config: Config, engines: Mapping[str, Engine]) -> list["OpenAIEngine"]:
    return [cast("OpenAIEngine", engines[name]) for name in engines if isinstance(config.engines[name], OpenAIConfig)]


def _swaps(engine: EngineConfig) -> bool:
    return isinstance(engine, OpenAIConfig) and engine.swaps


def _dials(scheduling: SchedulingConfig) -> Dials:
    """The preset with what was turned."""
    names = {each.name for each in fields(Dials)}
    turned = {name: value for name, value in structs.asdict(scheduling).items() if name in names and value is not None}
    return replace(PRESETS[scheduling.preset], **turned)


def build_doors(config: Config, data_dir: Path, endpoints: Sequence[str], *, insecure: bool) -> Doors:
    """The way in at these endpoints.

    Raises:
        KeyringError: The daemon's own keys can't be used.
        EndpointError: One of them can't be an endpoint, or would let strangers in unasked.
        ConfigError: A user is named whom this machine doesn't have.
    """
    locks = Locks(keyring.read_server(data_dir), config.require_keys, insecure)
    locks.check(endpoints)
    rules = _local_rules(config, lets_strangers_in=locks.lets_strangers_in(endpoints))
    return Doors(data_dir, locks, rules, Share(requests_per_s=config.limits.requests_per_s))


def _local_rules(config: Config, *, lets_strangers_in: bool) -> LocalRules:
    """What those without a key may do."""
    users: dict[int, tuple[str, Role]] = {}
    for name, role in config.users.items():
        try:
            users[pwd.getpwnam(name).pw_uid] = (name, Role[role.upper()])
        except KeyError:
            raise ConfigError(f"users.{name}: this machine has no such user") from None
        if name in RESERVED:
            raise ConfigError(f"users.{name}: that name is taken for others: {', '.join(RESERVED)}")
    return LocalRules(Role[config.local_role.upper()], users, lets_strangers_in)


def lane_settings(config: Config) -> LaneSettings:
    """When runs are stopped, and when items are tried again."""
    execution = config.execution
    return LaneSettings(
        patience=Patience(
            load_s=max(map(load_patience_s, config.engines.values())),
            interrupt_s=execution.interrupt_grace_s,
            terminate_s=execution.terminate_grace_s,
        ),
        retries=RetryPolicy(
            base_s=execution.backoff_base_s,
            factor=execution.backoff_factor,
            max_s=execution.backoff_max_s,
            crash_limit=execution.crash_limit,
        ),
        timeout_s=execution.timeout_s,
        no_progress_s=execution.no_progress_s,
    )


def load_patience_s(engine: EngineConfig) -> float:
    """Seconds that an engine may need until a model is there; servers load within their runs."""
    if isinstance(engine, OpenAIConfig | CommandConfig | AgentConfig):
        return SERVER_LOOK_S
    if isinstance(engine, OllamaConfig):
        return SERVER_LOOK_S + engine.load_timeout_s + (engine.pull_timeout_s if engine.pull else 0.0)
    return engine.start_timeout_s + (engine.load_timeout_s if isinstance(engine, PythonConfig) else 0.0)


def _build(name: str, engine: PlainConfig, config: Config, data_dir: Path, library: Library, blobs: Blobs) -> Engine:
    match engine:
        case PythonConfig():
            return PythonEngine(
                name,
                classes=_classes(engine),
                lane=engine.lane,
                pid_file=data_dir / "workers" / f"{name}.pid",
                python=engine.python,
                python_path=engine.python_path,
                cache_mb=engine.cache_mb,
                most_models=config.scheduling.resident_models,
                pins=build_pins(config, [name]),
                memory_limit_mb=engine.memory_limit_mb,
                start_timeout_s=engine.start_timeout_s,
                load_timeout_s=engine.load_timeout_s,
            )
        case ComfyConfig():
            return _build_comfyui(name, engine, library, blobs)
        case OpenAIConfig():
            return _build_openai(name, engine, slotted=in_slots(config, engine.lane or name))
        case OllamaConfig():
            return _build_ollama(name, engine)
        case CommandConfig():
            return CommandEngine(
                name,
                lane=engine.lane or name,
                commands=engine.commands,
                data_dir=data_dir,
                max_parallel=engine.max_parallel,
                max_output_bytes=engine.max_output_mb << 20,
            )
        case MCPConfig():
            return _build_mcp(name, engine, data_dir)


def _classes(engine: PythonConfig) -> list[Hosted]:
    if engine.model:
        return [Hosted(engine.model, engine.options)]
    return [Hosted(each.model, each.options, name) for name, each in engine.models.items()]


def _build_comfyui(name: str, engine: ComfyConfig, library: Library, blobs: Blobs) -> Engine:
    from stoker_daemon.engines.comfyui import ComfyEngine

    _check_recipe(name, engine.recipe, library)
    return ComfyEngine(
        name,
        url=engine.url,
        lane=engine.lane,
        library=library,
        blobs=blobs,
        default_recipe=engine.recipe,
        default_model=engine.model,
        output_dir=None if engine.output_dir is None else Path(engine.output_dir),
        delete_outputs=engine.delete_outputs,
        restart_command=engine.restart_command,
        max_output_bytes=engine.max_output_mb << 20,
        start_timeout_s=engine.start_timeout_s,
        batch_size=engine.batch_size,
        models_dir=None if engine.models_dir is None else Path(engine.models_dir),
        read_ahead=engine.read_ahead,
    )


def _build_openai(name: str, engine: OpenAIConfig, *, slotted: bool) -> Engine:
    from stoker_daemon.engines.openai import OpenAIEngine

    return OpenAIEngine(
        name,
        url=engine.url,
        lane=engine.lane or name,
        default_model=engine.model,
        key_env=engine.api_key_env,
        key_file=None if engine.api_key_file is None else Path(engine.api_key_file),
        limits=engine.limits,
        streams=engine.stream,
        in_slots=slotted,
        silence_s=engine.silence_s,
    )


def _build_ollama(name: str, engine: OllamaConfig) -> Engine:
    from stoker_daemon.engines.ollama import OllamaEngine

    return OllamaEngine(
        name,
        url=engine.url,
        lane=engine.lane,
        default_model=engine.model,
        limits=engine.limits,
        keep_alive=engine.keep_alive,
        load_timeout_s=engine.load_timeout_s,
        pulls=engine.pull,
        pull_timeout_s=engine.pull_timeout_s,
        silence_s=engine.silence_s,
    )


def _build_mcp(name: str, engine: MCPConfig, data_dir: Path) -> Engine:
    try:
        from stoker_daemon.engines.mcp import MCPEngine, Program, ToolServer
    except ModuleNotFoundError as error:
        raise ConfigError(f"engines.{name}: {error}; pip install 'stoker[mcp]'") from None

    program = Program(engine.argv, environment(engine.env), engine.cwd, engine.start_timeout_s)
    return MCPEngine(
        name,
        lane=engine.lane or name,
        server=ToolServer(name, program, data_dir / "workers" / f"{name}.pid"),
        allowed=engine.tools,
        max_parallel=engine.max_parallel,
        max_output_bytes=engine.max_output_mb << 20,
    )


def _build_agent(name: str, agent: AgentConfig, config: Config, built: Mapping[str, Engine]) -> Engine:
    try:
        from stoker_daemon.engines.agent import AgentEngine, Validation
        from stoker_daemon.engines.mcp import MCPEngine
        from stoker_daemon.engines.openai import OpenAIEngine
    except ModuleNotFoundError as error:
        raise ConfigError(f"engines.{name}: {error}; pip install 'stoker[mcp]'") from None

    chat = built[agent.chat]
    assert isinstance(chat, OpenAIEngine)  # the configuration was checked
    commands, _, word = agent.validate_by.partition(".")
    validator = built.get(commands)
    return AgentEngine(
        name,
        lane=agent.lane or config.engines[agent.chat].lane or agent.chat,
        chat=chat,
        tools=[tool for each in agent.tools if isinstance(tool := built[each], MCPEngine)],
        validation=Validation(validator, word) if isinstance(validator, CommandEngine) else Validation(),
        system=agent.system,
        max_loops=agent.max_loops,
        max_parallel=agent.max_parallel,
    )


def _check_recipe(engine: str, recipe: str, library: Library) -> None:
    try:
        library.recipe(recipe)
    except Refused as refused:
        raise ConfigError(f"engines.{engine}.recipe: {refused.message}; {refused.hint}") from None
