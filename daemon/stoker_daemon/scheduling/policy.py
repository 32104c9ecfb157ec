"""Simple orders of work: one sort key."""

from collections.abc import Sequence

from stoker_daemon.jobs.records import Head


def strict(heads: Sequence[Head], engine: str, residency: str) -> Head | None:
    """The highest priority, then what is loaded already, then the oldest.

    `engine` and `residency` say what the lane holds now (empty: nothing).
    """
    return min(heads, key=lambda head: _strictly(head, engine, residency), default=None)


def in_turn(heads: Sequence[Head], _engine: str, _residency: str) -> Head | None:
    """The highest priority, then the oldest, where all models are equally near."""
    return strict(heads, "", "")


def fifo(heads: Sequence[Head], _engine: str, _residency: str) -> Head | None:
    """What came first, whatever it is."""
    return min(heads, key=lambda head: head.oldest, default=None)


def _strictly(head: Head, engine: str, residency: str) -> tuple[int, bool, int]:
    is_loaded = (head.signature.engine, head.signature.residency) == (engine, residency)
    return (head.priority.rank, not is_loaded, head.oldest)
