"""All lanes of the daemon together: their tasks, their state, their end."""

import asyncio
from collections.abc import Sequence

from stoker_daemon.execution.lane import Lane, LaneSettings
from stoker_daemon.jobs.records import Commit, Interrupted
from stoker_protocol import jobs as words
from stoker_protocol.replies import Finding


class Lanes:
    """Implements `ports.LaneStatus` and owns the lanes' tasks."""

    def __init__(self, lanes: Sequence[Lane]) -> None:
        self.all = self._lanes = lanes
        self._tasks: list[asyncio.Task[None]] = []

    def committed(self, commit: Commit) -> None:
        """Pass a commit on to each lane."""
        for lane in self._lanes:
            lane.committed(commit)

    def adopt(self, settings: LaneSettings) -> None:
        """Let all lanes go by other settings from their next runs on."""
        for lane in self._lanes:
            lane.adopt(settings)

    def take_back(self, run: Interrupted) -> bool:
        """Leave a run of an earlier daemon to its lane, if its engine may have gone on with it."""
        return any(lane.take_back(run) for lane in self._lanes)

    def lanes(self) -> list[words.Lane]:
        return [lane.status() for lane in self._lanes if lane.is_worth_telling]

    def findings(self) -> list[Finding]:
        return [finding for lane in self._lanes if lane.is_worth_telling for finding in lane.findings()]

    def release_gpu(self) -> list[str]:
        return [lane.name for lane in self._lanes if lane.release_gpu()]

    def start(self) -> list["asyncio.Task[None]"]:
        """Let the lanes take work; the tasks end only by `stop`, or by a bug."""
        self._tasks = [asyncio.create_task(lane.serve(), name=f"lane {lane.name}") for lane in self._lanes]
        return self._tasks

    async def stop(self, grace_s: float) -> None:
        """Let the runs at work end within the grace, or hand them back."""
        pairs = zip(self._lanes, self._tasks, strict=False)
        await asyncio.gather(*(lane.stop(task, grace_s) for lane, task in pairs), return_exceptions=True)
