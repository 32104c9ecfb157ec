"""What stops and what holds the worker: the one global interrupt flag, and permits for runs that wait for a release."""

import threading
import time

from tests.fakes.comfyui.defects import Defects

_LOOK_AGAIN_S = 0.02  # switches that change meanwhile are seen this late


class Interrupted(Exception):
    """The running prompt was told to stop."""


class Gate:
    """Where a run looks whether it may go on. Safe to use from any thread."""

    def __init__(self, defects: Defects) -> None:
        self.held = 0
        self._defects = defects
        self._changed = threading.Condition()
        self._interrupted_at: float | None = None
        self._permits = 0

    def interrupt(self) -> None:
        with self._changed:
            if self._interrupted_at is None:
                self._interrupted_at = time.monotonic()
            self._changed.notify_all()

    def clear(self) -> None:
        """Forget an interrupt that nobody was there to hear."""
        with self._changed:
            self._interrupted_at = None

    def release(self, runs: int) -> None:
        """Let that many held runs go on, now or when they come."""
        with self._changed:
            self._permits += runs
            self._changed.notify_all()

    def check(self) -> None:
        """Stop here if the run was interrupted.

        Raises:
            Interrupted: it was.
        """
        with self._changed:
            self._check()

    def pause(self, seconds: float) -> None:
        """Let time pass, unless the run is interrupted."""
        until = time.monotonic() + seconds
        with self._changed:
            self._check()
            while (left := until - time.monotonic()) > 0:
                self._changed.wait(min(left, _LOOK_AGAIN_S))
                self._check()

    def hold(self, *, blocking: bool = False) -> None:
        """Wait for a permit, and use it up. If `blocking`, no interrupt is heard meanwhile."""
        with self._changed:
            self.held += 1
            try:
                while not self._permits:
                    if not blocking:
                        self._check()
                    self._changed.wait(_LOOK_AGAIN_S)
                self._permits -= 1
            finally:
                self.held -= 1

    def _check(self) -> None:
        since = self._interrupted_at
        if since is None or self._defects.ignore_interrupt:
            return
        if time.monotonic() - since >= self._defects.interrupt_latency_s:
            self._interrupted_at = None
            raise Interrupted
