"""Small drawings of one line: how full something is, and how it went."""

from collections.abc import Sequence
from itertools import pairwise

import click

_WIDTH, _HISTORY_WIDTH = 20, 30
_EIGHTHS = " ▏▎▍▌▋▊▉"
_LEVELS = "▁▂▃▄▅▆▇█"
_WARM, _HOT = 0.8, 0.95


def bar(filled: float) -> str:
    """A bar that is so full (0 to 1), in the colour of how much that is."""
    filled = min(1.0, max(0.0, filled))
    whole, eighths = divmod(round(filled * _WIDTH * 8), 8)
    drawn = "█" * whole + (_EIGHTHS[eighths] if eighths else "")
    colour = "red" if filled > _HOT else "yellow" if filled > _WARM else "green"
    return click.style(drawn, fg=colour) + click.style("·" * (_WIDTH - len(drawn)), fg="bright_black")


def sparkline(values: Sequence[float | None], low: float, high: float) -> str:
    """How values went from `low` to `high`, the last one at the right; a gap where there is none.

    Of more values than there is room for, the highest of each few is drawn.
    """
    if len(values) < 2:
        return ""
    columns = min(len(values), _HISTORY_WIDTH)
    edges = [round(place * len(values) / columns) for place in range(columns + 1)]
    return "".join(_level(values[a:b], low, high) for a, b in pairwise(edges))


def _level(values: Sequence[float | None], low: float, high: float) -> str:
    there = [value for value in values if value is not None]
    if not there:
        return " "
    share = (max(there) - low) / ((high - low) or 1)
    return _LEVELS[min(len(_LEVELS) - 1, max(0, int(share * len(_LEVELS))))]
