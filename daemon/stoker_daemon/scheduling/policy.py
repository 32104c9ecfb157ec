"""Which of the waiting signatures runs next: one sort key."""

from collections.abc import Sequence

from stoker_daemon.jobs.records import Head


def choose(heads: Sequence[Head], engine: str, residency: str) -> Head | None:
    """The head to claim from: the highest priority, then what is loaded already, then the oldest.

    `engine` and `residency` say what the lane holds now (empty: nothing).
    """
    return min(heads, key=lambda head: _sort_key(head, engine, residency), default=None)


def _sort_key(head: Head, engine: str, residency: str) -> tuple[int, bool, int]:
    is_loaded = (head.signature.engine, head.signature.residency) == (engine, residency)
    return (head.priority.rank, not is_loaded, head.oldest)


def batch_limit(engine_limit: int, job_limit: int) -> int:
    """How many items may share a run; a job's limit of 0 leaves it to the engine."""
    return max(1, min(engine_limit, job_limit or engine_limit))
