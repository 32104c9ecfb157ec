"""All that watches over the GPU and the host, in one hand."""

from collections.abc import Mapping
from dataclasses import dataclass

from stoker_daemon.execution.gate import Preflight
from stoker_daemon.execution.monitor import Choice, Monitor
from stoker_daemon.execution.occupancy import Occupancy
from stoker_daemon.ports import Announce, Clock, Engine, GpuProbe
from stoker_daemon.scheduling.preflight import Thresholds


@dataclass(frozen=True, slots=True)
class Watch:
    """Who looks, who knows who holds what, and who says go or no-go."""

    monitor: Monitor
    occupancy: Occupancy
    preflight: Preflight


def watch(
    probe: GpuProbe,
    engines: Mapping[str, Engine],
    announce: Announce,
    clock: Clock,
    *,
    every_s: float,
    limits: Thresholds,
) -> Watch:
    """Put them together; nobody looks before the monitor serves."""
    monitor = Monitor(probe, announce, clock, Choice(limits.device), every_s)
    occupancy = Occupancy(engines, lambda: monitor.gpu)
    return Watch(monitor, occupancy, Preflight(monitor, occupancy, limits))
