"""How many runs share a commit: one, or several where each is over sooner than its commit."""

SHORT_S, SURELY_SHORT = 0.005, 16
"""After so many runs in a row that took less, the next is taken to be as short."""
MAX_AT_ONCE = 32
"""Beyond that, sharing saves next to nothing more."""
MOMENT_S = 0.02
"""So long may what was claimed together keep others from its place, and from hearing of its outcome."""


class ShortRuns:
    """What a lane has seen of short runs."""

    def __init__(self) -> None:
        self._in_a_row = 0
        self._each_s = MOMENT_S

    @property
    def are_sure(self) -> bool:
        """Whether the next run is taken to be as short as those before it."""
        return self._in_a_row >= SURELY_SHORT

    @property
    def at_once(self) -> int:
        """How many to claim together: such that they should be over in half a moment."""
        return max(1, min(MAX_AT_ONCE, int(MOMENT_S / 2 / self._each_s))) if self.are_sure else 1

    def ended(self, seconds: float, *, well: bool) -> None:
        """A run took so long."""
        self._in_a_row = self._in_a_row + 1 if well and seconds < SHORT_S else 0

    def worked_off(self, runs: int, seconds: float) -> None:
        """So many runs that were claimed together took so long, with all that the lane had to do for them."""
        if runs:
            self._each_s = max(seconds / runs, 1e-6)
