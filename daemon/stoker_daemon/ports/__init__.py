"""What the core needs from the world, as protocols: the rooms above implement them, `main` brings them together."""

from stoker_daemon.ports.engines import Engine, RunObserver
from stoker_daemon.ports.gpus import GpuProbe, GpuStatus
from stoker_daemon.ports.outputs import Artifacts, Blobs, Cleaning
from stoker_daemon.ports.planning import Planning
from stoker_daemon.ports.services import Announce, Asked, Caller, Clock, LaneStatus, Services
from stoker_daemon.ports.store import Choose, ClaimOrder, JobStore, StoredSnapshot

__all__ = [
    "Announce",
    "Artifacts",
    "Asked",
    "Blobs",
    "Caller",
    "Choose",
    "ClaimOrder",
    "Cleaning",
    "Clock",
    "Engine",
    "GpuProbe",
    "GpuStatus",
    "JobStore",
    "LaneStatus",
    "Planning",
    "RunObserver",
    "Services",
    "StoredSnapshot",
]
