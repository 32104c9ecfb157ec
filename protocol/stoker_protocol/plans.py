"""What a plan is made of: waves of runs to come, and when each job is expected."""

from enum import StrEnum
from typing import Literal

from msgspec import Struct

from stoker_protocol.jobs import Eta

Grouping = Literal["mixed", "strict"]
"""What shares a run: all that an engine can run together, or only what differs in nothing but the seed."""


class Share(Struct, frozen=True):
    """So many items of one job in a run."""

    job_id: str
    items: int


class PlannedRun(Struct, frozen=True):
    """A run to come: whose items it takes, when it is expected to start, in seconds from the plan on, and how long."""

    shares: list[Share]
    start_s: Eta
    seconds: float


class Wave(Struct, frozen=True):
    """Consecutive runs on one model: what gives way to it, the seconds that it loads, its runs, and why it comes."""

    lane: str
    engine: str
    model: str
    evicts: list[str]
    load_s: float
    runs: list[PlannedRun]
    reason: str


class PlannedJob(Struct, frozen=True):
    """When the first run of a job is expected to start, and its last one to be done, in seconds from the plan on.

    `done_s` is none where some of its items come after the end of the plan.
    """

    job_id: str
    start_s: Eta
    done_s: Eta | None


class Calibration(Struct, frozen=True):
    """How times that were told turned out: of so many jobs, the part that was done by p50 (ideally 0.5), and p90."""

    jobs: int
    by_p50: float
    by_p90: float


class Delay(StrEnum):
    """Why a job does not run now, or that it does or is over."""

    OVER = "over"
    RUNNING = "running"
    NEXT = "next"
    BEHIND = "behind"
    CAPPED = "capped"
    LATER = "later"
    QUEUE_PAUSED = "queue_paused"
    JOB_PAUSED = "job_paused"
    OPEN = "open"
    BACK_OFF = "back_off"
    ENGINE_DOWN = "engine_down"
    NO_ENGINE = "no_engine"
    HELD_UP = "held_up"
