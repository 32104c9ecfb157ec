"""What a simulation came to, as people and scripts read it."""

import math
from collections.abc import Sequence
from typing import Any

from benchmarks.scheduling.simulator import RunDone
from benchmarks.scheduling.trace import PRIORITIES, Trace

WEIGHTS = (64, 16, 4, 1)


def outcome(policy: str, trace: Trace, runs: Sequence[RunDone]) -> dict[str, Any]:
    """The figures of one simulation; a wait ends when the item's run begins, after the load."""
    waits: list[list[float]] = [[], [], [], []]
    for run in runs:
        for number in run.items:
            item = trace.items[number]
            waits[item.rank].append(run.began_s + run.load_s - item.arrival_s)
    end_s = max((run.began_s + run.load_s + run.run_s for run in runs), default=0.0)
    loading_s, working_s = sum(run.load_s for run in runs), sum(run.run_s for run in runs)
    weight = sum(WEIGHTS[rank] * len(waits[rank]) for rank in range(4))
    return {
        "policy": policy,
        "makespan_s": end_s,
        "swaps": sum(run.load_s > 0 for run in runs),
        "load_share": loading_s / (loading_s + working_s) if runs else 0.0,
        "weighted_wait_s": sum(WEIGHTS[rank] * sum(waits[rank]) for rank in range(4)) / weight if weight else 0.0,
        "max_wait_s": max((max(line) for line in waits if line), default=0.0),
        "by_priority": {PRIORITIES[rank].value: _waits(sorted(waits[rank])) for rank in range(4)},
    }


def _waits(waits: list[float]) -> dict[str, float]:
    if not waits:
        return {"mean_s": 0.0, "p99_s": 0.0, "max_s": 0.0}
    return {
        "mean_s": sum(waits) / len(waits),
        "p99_s": waits[math.ceil(len(waits) * 0.99) - 1],
        "max_s": waits[-1],
    }
