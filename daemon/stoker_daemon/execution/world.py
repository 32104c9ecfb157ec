"""What lanes work with, and what the configuration says about them."""

from collections.abc import Callable
from dataclasses import dataclass, field

from stoker_daemon.execution.smoke import Smoke
from stoker_daemon.execution.supervisor import Patience
from stoker_daemon.ports import Announce, Artifacts, Clock, JobStore
from stoker_daemon.scheduling.residency import Key
from stoker_daemon.scheduling.retry import RetryPolicy


@dataclass(frozen=True, slots=True)
class LaneSettings:
    """What the config says about lanes; seconds."""

    patience: Patience
    retries: RetryPolicy
    timeout_s: float
    no_progress_s: float


@dataclass(frozen=True, slots=True)
class World:
    """What a lane works with. `dice` draws from [0, 1); `wants_previews` tells whether somebody watches a job.

    `read_ahead` hears of the model that should be loaded next, and returns at once.
    """

    store: JobStore
    artifacts: Artifacts
    announce: Announce
    clock: Clock
    dice: Callable[[], float]
    wants_previews: Callable[[str], bool]
    read_ahead: Callable[[Key], None]
    smoke: Smoke = field(default_factory=Smoke)
