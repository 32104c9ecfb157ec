"""What the configuration may say of everything but engines, and the whole file."""

from collections import Counter
from contextlib import suppress
from ipaddress import ip_address
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from stoker_daemon.config.engines import AgentConfig, ComfyConfig, EngineConfig, PythonConfig, check_agent
from stoker_daemon.config.values import ConfigError, Days, Seconds, check_name

MAX_PORT = 65_535


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


_Positive = Annotated[float, Meta(gt=0)]
_Four = tuple[_Positive, _Positive, _Positive, _Positive]


class SchedulingConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[scheduling]`: in which order lanes of the GPU work; lists go from urgent to low. What is not said is preset."""

    policy: Literal["waves", "strict", "fifo"] = "waves"
    """Waves load each model once for all that can wait; `strict` looks at priorities first, `fifo` at nothing."""
    preset: Literal["interactive", "balanced", "throughput"] = "balanced"
    """For people who wait, for a bit of everything, for long queues that nobody watches."""
    weights: _Four | None = None
    """What a second of waiting costs an item."""
    caps_s: _Four | None = None
    """Seconds after which an item goes before what is worth more; an urgent one cuts in."""
    cut_ins_per_min: Annotated[float, Meta(ge=0, le=60)] | None = None
    """How often urgent items may cut in."""
    cut_in_burst: Annotated[float, Meta(ge=1, le=1000)] | None = None
    """How many of these may be saved up."""
    residency: Annotated[float, Meta(ge=0, le=100)] | None = None
    """A model stays until it has worked for so many times its load."""
    max_patience: Annotated[float, Meta(ge=1, le=100)] | None = None
    """How many times a load counts at most, however much arrives."""
    batch_s: Seconds | None = None
    """Seconds that a run may last."""
    urgent_batch_s: Seconds | None = None
    """Seconds that a run may last while something urgent came lately."""
    resident_models: Annotated[int, Meta(ge=0, le=1024)] = 0
    """How many models a worker keeps loaded; 0: one beside the pinned ones, or as many as its `cache_mb` holds."""
    pins: tuple[str, ...] = ()
    """Models that stay loaded as long as anything else can give way: `"ENGINE/MODEL"`, as `stoker plan` names them."""
    grouping: Literal["mixed", "strict"] | None = None
    """What shares a run: `mixed`, all that an engine can run together; `strict`, what differs in the seed only."""
    fair_share: bool = False
    """Clients take turns, run by run, within one model and priority: nobody waits for all of another's items."""


class RetentionConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[retention]`: when what is old, or too much, is removed; 0: never."""

    events_days: Days = 30.0
    """Days that events are kept; who was away for longer takes a snapshot instead."""
    events_max: Annotated[int, Meta(ge=0, le=1_000_000_000)] = 1_000_000
    """How many events are kept at most, the newest; each takes about half a kilobyte on disk."""
    jobs_days: Days = 0.0
    """Days after their end that jobs are kept, with their files."""


class GpuConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[gpu]`: the executor's GPU, and how it is watched."""

    device: str = ""
    """Which GPU it is where there are several: its index as `nvidia-smi` counts, or its UUID; by default the first."""
    sample_s: Annotated[float, Meta(ge=0.2, le=3600)] = 2.0
    """Seconds between two looks at it."""
    idle_unload_s: Annotated[float, Meta(ge=0, le=30 * 86_400)] = 0.0
    """Seconds without work after which the lanes of the GPU give back what their models hold; 0: never."""


class SmokeConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[preflight.smoke.NAME]`: a small item that the engine of that name has to do before its first run, and again
    after it was away or died; until it does, its jobs wait.
    """

    params: dict[str, Any] = {}
    """What a job would say as the parameters of the item."""
    recipe: str = ""
    """The recipe, command or tool that makes it, where the engine has such."""
    timeout_s: Seconds = 60.0
    """Seconds until it must be done."""


class PreflightConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[preflight]`: when no run begins, until all is well again. GB are 2**30 bytes."""

    max_gpu_percent: Annotated[float, Meta(ge=0, le=100)] = 95.0
    """How much of the GPU's memory others than our engines may hold; 100: all of it."""
    min_memory_gb: Annotated[float, Meta(ge=0, le=4096)] | None = None
    """Gigabytes of the host's memory that must be available; by default 4, but no more than a sixteenth of it."""
    min_disk_gb: Annotated[float, Meta(ge=0, le=1_000_000)] | None = None
    """Gigabytes that must be free where outputs go; by default 1, or 0 on a disk of less than 20."""
    smoke: dict[str, SmokeConfig] = {}
    """Small items that engines have to do before work begins, by the engines' names."""


class MetricsConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[metrics]`: figures for Prometheus and health checks, over HTTP without keys."""

    listen: str = ""
    """Where `/metrics`, `/healthz` and `/readyz` are: `127.0.0.1:9464`; by default nowhere."""

    def __post_init__(self) -> None:
        host, _, port = self.listen.rpartition(":")
        if self.listen and not (host and port.isdecimal() and int(port) <= MAX_PORT):
            raise ValueError(f"listen = {self.listen!r} is not of the form 127.0.0.1:9464")
        if self.listen and not _is_loopback(host.strip("[]")):
            raise ValueError(
                f"listen = {self.listen!r}: has no keys, so it must be an address of this host itself, like 127.0.0.1;"
                " let a proxy or an agent of the monitoring fetch it here"
            )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    with suppress(ValueError):
        return ip_address(host).is_loopback
    return False


class LimitsConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[limits]`: what one client may take of the daemon."""

    requests_per_s: Annotated[float, Meta(ge=0, le=1_000_000)] = 1000.0
    """Requests a second that each client with a key may make; 0: any number."""


RoleName = Literal["view", "submit", "admin"]


def _default_engines() -> dict[str, EngineConfig]:
    return {"sprites": PythonConfig(model="stoker_worker.models.sprites:Sprites")}


class Config(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The whole file."""

    local_role: RoleName = "admin"
    """What callers on this machine may do."""
    require_keys: bool = False
    """Whether callers on this machine need a key too, except over IPC."""
    users: dict[str, RoleName] = {}
    """What users of this machine may do who come over IPC, where the system says who they are; others: `local_role`."""
    engines: Annotated[dict[str, EngineConfig], Meta(min_length=1)] = msgspec.field(default_factory=_default_engines)
    """The engines by name; the first is meant where a job names none."""
    recipes: str | None = None
    """A folder with recipes of your own."""
    profiles: dict[str, ProfileConfig] = {}
    """Profiles beside the built-in ones."""
    execution: ExecutionConfig = ExecutionConfig()
    limits: LimitsConfig = LimitsConfig()
    scheduling: SchedulingConfig = SchedulingConfig()
    retention: RetentionConfig = RetentionConfig()
    metrics: MetricsConfig = MetricsConfig()
    gpu: GpuConfig = GpuConfig()
    preflight: PreflightConfig = PreflightConfig()

    def __post_init__(self) -> None:
        for name, engine in self.engines.items():
            if isinstance(engine, AgentConfig):
                check_agent(name, engine, self.engines)
        self._check_pins()
        for name in self.preflight.smoke:
            if name not in self.engines:
                raise ValueError(f"preflight.smoke.{name}: there is no such engine; engines: {', '.join(self.engines)}")
        for key, names in (("engines", self.engines), ("profiles", self.profiles)):
            for name in names:
                check_name(key, name)

    def _check_pins(self) -> None:
        """Whether each pin is of an engine that there is, and leaves room beside it."""
        numbers = Counter(pin.partition("/")[0] for pin in self.scheduling.pins)
        for pin in self.scheduling.pins:
            engine, _, model = pin.partition("/")
            if not model:
                raise ValueError(
                    f"scheduling.pins: {pin!r} is not of the form ENGINE/MODEL, like 'comfyui/x.safetensors'"
                )
            if engine not in self.engines:
                raise ValueError(f"scheduling.pins: {pin!r}: there is no engine {engine!r}; {', '.join(self.engines)}")
            most = self.scheduling.resident_models
            if 0 < most <= numbers[engine]:
                raise ValueError(
                    f"scheduling.resident_models = {most} leaves no room beside the {numbers[engine]} pinned models of"
                    f" {engine!r}; {numbers[engine] + 1} would"
                )

    def with_comfyui(self, url: str) -> "Config":
        """The same with a ComfyUI server in front, as engine `comfyui`. Raises ConfigError."""
        try:
            comfyui = ComfyConfig(url=url)
        except ValueError as error:
            raise ConfigError(f"--comfyui: {error}") from None
        return msgspec.structs.replace(self, engines={"comfyui": comfyui, **self.engines})
