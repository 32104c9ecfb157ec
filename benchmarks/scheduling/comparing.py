"""Policies beside each other over many seeds of each trace, and whether the figures are what they should be."""

import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from benchmarks.core.figures import Figure
from benchmarks.scheduling.outcome import outcome
from benchmarks.scheduling.policies import POLICIES, Believed, Stoker
from benchmarks.scheduling.simulator import simulate
from benchmarks.scheduling.trace import Curve, Model, Trace
from benchmarks.scheduling.traces import TRACES
from stoker_daemon.scheduling import waves
from stoker_daemon.scheduling.dials import BALANCED
from stoker_daemon.scheduling.residency import Gpu

URGENT_P99_S = {"busy": 105.0, "sustained 0.20": 110.0, "sustained 0.22": 110.0}
OVERTIME_S = 600.0
"""Nobody may wait so much longer than the cap of its priority."""

Outcome = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Belief:
    """Factors between what Stoker believes of loads and runs, and the truth."""

    loads: float = 1.0
    runs: float = 1.0


def compare(name: str, seeds: Sequence[int], belief: Belief) -> dict[str, list[Outcome]]:
    """The outcomes of each policy on the same traces."""
    traces = [TRACES[name](seed) for seed in seeds]
    makers = {**POLICIES, "stoker": partial(Stoker, loads=belief.loads, runs=belief.runs)}
    return {
        policy: [outcome(policy, trace, simulate(trace, make(trace))) for trace in traces]
        for policy, make in makers.items()
    }


def figures(name: str, outcomes: dict[str, list[Outcome]]) -> list[Figure]:
    """What Stoker must reach on a trace."""
    means = {policy: _mean(rows, _weighted) for policy, rows in outcomes.items()}
    rival = min((policy for policy in means if policy != "stoker"), key=means.__getitem__)
    ours = outcomes["stoker"]
    ratio, upper = paired_ratio([_weighted(row) for row in ours], [_weighted(row) for row in outcomes[rival]])
    made_of = f"{means['stoker']:.1f} s, {rival} {means[rival]:.1f} s; ratio {ratio:.3f}, {len(ours)} seeds"
    longer = _mean(ours, _makespan) / _mean(outcomes["priority_affinity"], _makespan)
    overtime_s = max(_overtime_s(row) for row in ours)
    rows = [
        Figure(f"{name}: weighted wait, upper bound", upper, "x", "<=", 1.05, made_of),
        Figure(f"{name}: makespan by priority_affinity's", longer, "x", "<=", 1.0, f"{_mean(ours, _makespan):.0f} s"),
        Figure(f"{name}: wait beyond a cap", overtime_s, "s", "<=", OVERTIME_S, "the longest, high to low"),
    ]
    if name in URGENT_P99_S:
        p99_s = _mean(ours, lambda row: row["by_priority"]["urgent"]["p99_s"])
        rows.append(Figure(f"{name}: urgent p99", p99_s, "s", "<=", URGENT_P99_S[name], "mean of the seeds' p99"))
    return rows


def table_row(name: str, policy: str, rows: Sequence[Outcome]) -> str:
    """What a person reads of one policy on one trace: means over the seeds."""
    waits = "".join(_mean_and_p99(rows, priority) for priority in ("urgent", "high", "normal", "low"))
    share = 100 * _mean(rows, lambda row: row["load_share"])
    swaps, longest = _mean(rows, lambda row: row["swaps"]), _mean(rows, lambda row: row["max_wait_s"])
    head = f"{name:16}{policy:18}{_mean(rows, _makespan):9.0f}{swaps:7.0f}{share:5.0f}%{_mean(rows, _weighted):9.1f}"
    return f"{head}{waits}{longest:8.0f}"


def table_head() -> str:
    """The head of the table."""
    waits = "".join(f"{priority + ' mean/p99':>16}" for priority in ("urgent", "high", "normal", "low"))
    return f"{'trace':16}{'policy':18}{'makespan':>9}{'swaps':>7}{'load':>6}{'weighted':>9}{waits}{'max':>8}"


def step_times(rounds: int) -> list[Figure]:
    """How long the policy thinks about a queue, by the number of its items and signatures."""
    return [
        _step_time(1_000, signatures=5, target_us=100, rounds=rounds),
        _step_time(100_000, signatures=50, target_us=1_000, rounds=rounds),
    ]


def paired_ratio(ours: Sequence[float], theirs: Sequence[float]) -> tuple[float, float]:
    """The mean of the ratios of pairs, and the upper end of its 95 % confidence interval."""
    ratios = [own / other if other else 1.0 for own, other in zip(ours, theirs, strict=True)]
    mean = statistics.fmean(ratios)
    if len(ratios) < 2:
        return mean, mean
    return mean, mean + _student(len(ratios) - 1) * statistics.stdev(ratios) / math.sqrt(len(ratios))


def _student(freedom: int) -> float:
    """The 97.5th percentile of Student's t (Cornish-Fisher expansion; from 4 degrees of freedom on within 0.5 %)."""
    return 1.96 + 2.372 / freedom + 2.823 / freedom**2 + 2.56 / freedom**3


def _step_time(items: int, *, signatures: int, target_us: float, rounds: int) -> Figure:
    trace = Trace({str(n): Model(20.0, 10.0, Curve(((1, 4.0),))) for n in range(signatures)}, (), max_batch=8)
    believed = Believed(trace)
    waiting = [
        waves.Waiting(believed.keys[name], number, rank, items // (4 * signatures), 41.0 + number / signatures)
        for number, name in enumerate(believed.names)
        for rank in range(4)
    ]
    gpu = Gpu(residents=(believed.keys["0"],), worked_s=100.0, patience=5.0)
    times: list[float] = []
    for _ in range(rounds):
        began_s = time.perf_counter()
        waves.decide(waiting, gpu, believed, BALANCED, 60.0)
        times.append((time.perf_counter() - began_s) * 1e6)
    made_of = f"median of {rounds}, {len(waiting)} heads; p95 {sorted(times)[rounds * 95 // 100]:.0f} us"
    return Figure(f"step, {items} items", statistics.median(times), "us", "<=", target_us, made_of)


def _mean_and_p99(rows: Sequence[Outcome], priority: str) -> str:
    mean_s = _mean(rows, lambda row: row["by_priority"][priority]["mean_s"])
    return f"{mean_s:8.0f} /{_mean(rows, lambda row: row['by_priority'][priority]['p99_s']):6.0f}"


def _overtime_s(row: Outcome) -> float:
    caps_s = dict(zip(("urgent", "high", "normal", "low"), BALANCED.caps_s, strict=True))
    return max(row["by_priority"][each]["max_s"] - caps_s[each] for each in ("high", "normal", "low"))


def _mean(rows: Sequence[Outcome], value: Callable[[Outcome], float]) -> float:
    return statistics.fmean(value(row) for row in rows)


def _weighted(row: Outcome) -> float:
    return row["weighted_wait_s"]


def _makespan(row: Outcome) -> float:
    return row["makespan_s"]
