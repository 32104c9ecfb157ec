"""What handlers have at hand, and what all need: the clock, the caller, the lanes as others see them."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from stoker_daemon.ports.engines import Engine
from stoker_daemon.ports.gpus import GpuStatus
from stoker_daemon.ports.outputs import Artifacts, Blobs, Cleaning
from stoker_daemon.ports.planning import Planning
from stoker_daemon.ports.store import JobStore
from stoker_protocol import jobs as words
from stoker_protocol.changes import ConfigChange
from stoker_protocol.events import AnyEvent
from stoker_protocol.gpus import Holding
from stoker_protocol.replies import Finding
from stoker_protocol.requests import Role

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, as the transport knows it."""

    name: str
    role: Role


class Clock(Protocol):
    """Where time comes from: wall-clock milliseconds since the epoch, and seconds that never jump."""

    def now_ms(self) -> int: ...

    def monotonic_s(self) -> float: ...


class LaneStatus(Protocol):
    """What handlers may know of the lanes."""

    def lanes(self) -> list[words.Lane]: ...

    def findings(self) -> list[Finding]: ...

    def release_gpu(self) -> list[str]:
        """Have models give back their memory once nothing runs; the lanes that do so."""
        ...


class Announce(Protocol):
    """Where ephemeral events go; whoever takes them may conflate them."""

    def __call__(self, topic: str, event: AnyEvent) -> None: ...


@dataclass(frozen=True, slots=True)
class Services:
    """What a handler has at hand. `check` looks through the disk, `shut_down` begins a graceful stop, at once.

    `holdings`: who holds memory of the executor's GPU; `preflight`: what must be well before work begins.
    """

    clock: Clock
    store: JobStore
    artifacts: Artifacts
    blobs: Blobs
    profiles: Sequence[words.Profile]
    cleaning: Cleaning
    engines: Mapping[str, Engine]
    default_engine: str
    lanes: LaneStatus
    planning: Planning
    gpu: GpuStatus
    holdings: Callable[[], list[Holding]]
    preflight: Callable[[], list[Finding]]
    daemon: words.Daemon
    event_endpoints: Callable[[], list[str]]
    check: Callable[[], Awaitable[list[Finding]]]
    reload: Callable[[], Awaitable[list[ConfigChange]]]
    shut_down: Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Asked(Generic[R]):
    """One request with what came with it."""

    request: R
    body: bytes
    caller: Caller
