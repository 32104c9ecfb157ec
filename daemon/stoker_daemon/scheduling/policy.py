"""Simple orders of work: one sort key."""

from collections.abc import Sequence

from stoker_daemon.jobs.records import Head
from stoker_daemon.scheduling.turns import Turns, place_in


def strict(heads: Sequence[Head], engine: str, residency: str, turns: Turns = ()) -> Head | None:
    """The highest priority, then what is loaded already, then the client whose turn it is, then the oldest.

    `engine` and `residency` say what the lane holds now (empty: nothing).
    """
    return min(heads, key=lambda head: _strictly(head, engine, residency, turns), default=None)


def in_turn(heads: Sequence[Head], _engine: str, _residency: str, turns: Turns = ()) -> Head | None:
    """The highest priority, then whose turn it is, then the oldest, where all models are equally near."""
    return strict(heads, "", "", turns)


def fifo(heads: Sequence[Head], _engine: str, _residency: str, _turns: Turns = ()) -> Head | None:
    """What came first, whatever it is."""
    return min(heads, key=lambda head: head.oldest, default=None)


def _strictly(head: Head, engine: str, residency: str, turns: Turns) -> tuple[int, bool, int, int]:
    is_loaded = (head.signature.engine, head.signature.residency) == (engine, residency)
    return (head.priority.rank, not is_loaded, place_in(turns, head.client), head.oldest)
