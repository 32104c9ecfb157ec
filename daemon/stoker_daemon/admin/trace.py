"""Writes down what came to a lane and what it took, so that other orders of work can be tried on it."""

import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

from stoker_daemon.sqlite.tracing import Recording

UNKNOWN_RUN_S = 1.0
"""A model of which no run has ended takes so long for an item."""


def trace(data_dir: Path, lane: str) -> Iterator[str]:
    """The lines of a trace: the machine as it was, then each item in order of arrival.

    What a model's load and its runs take are medians. Where an engine loads within its runs, a load is what the first
    run after another model took longer.

    Raises:
        StoreError: There is no database of ours.
    """
    with Recording(data_dir, lane) as recording:
        machine, start_ms = _machine(recording), None
        models = machine["models"]
        yield json.dumps(machine)
        for came in recording.came():
            start_ms = came.at_ms if start_ms is None else start_ms
            if came.model in models:
                arrival_s = (came.at_ms - start_ms) / 1000
                yield json.dumps({"arrival_s": arrival_s, "model": came.model, "priority": came.priority.value})


def _machine(recording: Recording) -> dict[str, Any]:
    warm: defaultdict[str, defaultdict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    cold: defaultdict[str, list[tuple[int, float]]] = defaultdict(list)
    last, most = "", 1
    for run in recording.ran():
        most = max(most, run.items)
        if run.model == last:
            warm[run.model][run.items].append(run.seconds)
        else:
            cold[run.model].append((run.items, run.seconds))
        last = run.model
    told: defaultdict[str, list[float]] = defaultdict(list)
    for model, seconds in recording.loads():
        told[model].append(seconds)
    for came in recording.came():
        cold.setdefault(came.model, [])
    models = {model: _model(warm[model], cold[model], told[model]) for model in {**warm, **cold}}
    return {"models": models, "slots": 1, "max_batch": most}


def _model(warm: dict[int, list[float]], cold: list[tuple[int, float]], told: list[float]) -> dict[str, Any]:
    """What a model costs: its load, and a curve of seconds over the items of a run."""
    run_s = {items: median(seconds) for items, seconds in warm.items()}
    more = [seconds - run_s[items] for items, seconds in cold if items in run_s]
    load_s = median(told) if told else max(0.0, median(more)) if more else 0.0
    if not run_s:
        run_s = {items: max(0.001, seconds - load_s) for items, seconds in cold[:1]} or {1: UNKNOWN_RUN_S}
    return {"load_s": round(load_s, 4), "curve": [[items, round(run_s[items], 4)] for items in sorted(run_s)]}
