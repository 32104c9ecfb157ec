"""How far a run is, told to the daemon no more often than anybody can look."""

import time
from collections.abc import Callable

from stoker_protocol.worker import Report, RunBatch
from stoker_worker.connection import Connection
from stoker_worker.model import Interrupted

REPORT_EVERY_S = 0.05
PREVIEW_EVERY_S = 0.5


class Reporter:
    """The `report` of one run, or of one part of it of several: what a model calls at each step."""

    def __init__(
        self,
        run: RunBatch,
        connection: Connection,
        now_s: Callable[[], float] = time.monotonic,
        *,
        part: int = 0,
        parts: int = 1,
    ) -> None:
        self._run = run
        self._connection = connection
        self._now_s = now_s
        self._part, self._parts = part, parts
        self._next_report_s = self._next_preview_s = now_s()

    @property
    def wants_preview(self) -> bool:
        """Whether somebody looks, and has not just been shown a picture."""
        return self._run.previews and self._now_s() >= self._next_preview_s

    def look_up(self) -> None:
        """Raises Interrupted: The run is to stop."""
        if self._connection.is_interrupted(self._run.run_id):
            raise Interrupted

    def __call__(
        self, *, phase: str, step: int, steps: int, preview: bytes | None = None, position: int | None = None
    ) -> None:
        """Tell the daemon unless it was told just now.

        Raises:
            Interrupted: The run is to stop.
        """
        self.look_up()
        if not self.wants_preview:
            preview = None
        if preview is None and step < steps and self._now_s() < self._next_report_s:
            return
        self._next_report_s = self._now_s() + REPORT_EVERY_S
        if preview is not None:
            self._next_preview_s = self._now_s() + PREVIEW_EVERY_S
        self._connection.say(
            Report(
                run_id=self._run.run_id,
                phase=phase,
                step=self._part * steps + step,
                steps=self._parts * steps,
                position=position,
                preview=preview,
            )
        )
