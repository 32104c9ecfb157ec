"""Where lanes wait until the GPU and the host are well: no-go holds them up with a reason, and lifts by itself."""

import asyncio
from collections.abc import Callable

import structlog

from stoker_daemon.execution.monitor import Monitor
from stoker_daemon.execution.occupancy import Occupancy
from stoker_daemon.execution.waiting import wait_at_most
from stoker_daemon.scheduling import preflight
from stoker_daemon.scheduling.preflight import Thresholds
from stoker_protocol.replies import Finding

LOOK_S = 0.5
"""Between two looks of a lane that is held up."""

log = structlog.get_logger()


class Preflight:
    """What is checked before work begins, each time the monitor has looked; before that, nothing is known to be ill."""

    def __init__(self, monitor: Monitor, occupancy: Occupancy, limits: Thresholds) -> None:
        self._monitor = monitor
        self._occupancy = occupancy
        self._limits = limits
        self._of_gpu: list[Finding] = []
        self._of_disk: list[Finding] = []
        monitor.subscribe(self._judge)

    def everywhere(self) -> list[Finding]:
        """What lanes wait for that compute elsewhere."""
        return self._of_disk

    def on_gpu(self) -> list[Finding]:
        """What lanes wait for that compute on this host's GPU: all checks."""
        return [*self._of_gpu, *self._of_disk]

    def _judge(self) -> None:
        """Once for each look, since lanes ask after each run."""
        sample = self._monitor.latest()
        if sample is not None:
            self._of_disk = [preflight.of_disk(sample, self._limits)]
            holdings = self._occupancy.holdings()
            self._of_gpu = preflight.of_gpu(sample, self._monitor.gpu, holdings, self._limits)


class Gate:
    """One lane's way through the checks; `told` is called when it begins to be held up, and when that ends."""

    def __init__(self, lane: str, findings: Callable[[], list[Finding]], told: Callable[[], None]) -> None:
        self.reason = ""
        self._lane = lane
        self._findings = findings
        self._told = told

    def is_open(self) -> bool:
        """Whether work may begin."""
        return not preflight.reason(self._findings())

    async def passed(self, given_up: asyncio.Event) -> bool:
        """Wait until work may begin; False: it was given up."""
        while (reason := preflight.reason(self._findings())) and not given_up.is_set():
            if not self.reason:
                log.warning("held up", lane=self._lane, why=reason)
            self._become(reason)
            await wait_at_most(given_up, LOOK_S)
        if self.reason:
            log.info("no longer held up", lane=self._lane)
            self._become("")
        return not given_up.is_set()

    def _become(self, reason: str) -> None:
        was_held_up, self.reason = bool(self.reason), reason
        if was_held_up != bool(reason):
            self._told()
