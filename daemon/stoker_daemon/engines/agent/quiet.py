"""Who listens where a task asks other engines: all that becomes known of it is that it is alive."""

from collections.abc import Callable

from stoker_daemon.jobs.records import Output, Verdict
from stoker_protocol.errors import FailureKind


class Quiet:
    """Implements ports.RunObserver; `tell` is called whenever something moves."""

    is_recorded = False
    wants_previews = False
    unwanted: frozenset[int] = frozenset()

    def __init__(self, tell: Callable[[], None]) -> None:
        self.tell = tell

    def on_progress(self, phase: str, step: int, steps: int, fraction: float | None = None) -> None:
        del phase, step, steps, fraction
        self.tell()

    def on_waiting(self) -> None:
        self.tell()

    def on_weights(self, read: int, seconds: float, *, heavy: bool = True) -> None:
        """As below: the policy decides nothing here."""

    def on_preview(self, position: int, step: int, steps: int, image: bytes, media_type: str = "image/png") -> None:
        """Nobody draws here."""

    def on_output(self, output: Output) -> None:
        """What matters is kept in the transcript."""

    def on_out_of_memory(self) -> None:
        """The policy decides nothing here."""

    def on_item_done(self, position: int) -> None:
        """Who asked gets the answer itself."""

    def on_item_ended(self, position: int, state: Verdict, message: str) -> None:
        """As above."""

    def on_item_failed(self, position: int, kind: FailureKind, message: str) -> None:
        """As above."""
