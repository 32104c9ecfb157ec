"""Measures the core beside the bare limit in interleaved rounds and prints each ratio with its range."""

import json
import os
import platform
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import click

from benchmarks.core.contenders import Contender, Limit, Stoker
from benchmarks.core.load import lockstep_s

Measure = Callable[[Contender, float], float]


def one_by_one(contender: Contender, scale: float) -> float:
    """Jobs a second from one client that waits for each answer."""
    bodies = [contender.submit_request(1) for _ in range(round(1500 * scale))]
    return len(bodies) / lockstep_s(contender.endpoint, bodies)


def many_clients(contender: Contender, scale: float) -> float:
    """Jobs a second from 64 clients."""
    bodies = [contender.submit_request(1) for _ in range(round(6000 * scale))]
    return len(bodies) / lockstep_s(contender.endpoint, bodies, clients=64)


def hundreds(contender: Contender, scale: float) -> float:
    """Items a second from one client, 100 in a request."""
    bodies = [contender.submit_request(100) for _ in range(round(200 * scale))]
    return 100 * len(bodies) / lockstep_s(contender.endpoint, bodies)


def noop_items(contender: Contender, scale: float) -> float:
    """Items a second through a warm worker that does nothing, one item a run."""
    items = round(2000 * scale)
    lockstep_s(contender.endpoint, [contender.submit_request(items)])
    before = contender.left()
    contender.begin_work()
    began_s = time.perf_counter()
    while (left := contender.left()) > before - items:
        time.sleep(0.01)
    return (before - left) / (time.perf_counter() - began_s)


MEASURES: dict[str, Measure] = {
    "submit one by one, jobs/s": one_by_one,
    "submit by 64 clients, jobs/s": many_clients,
    "submit 100 a request, items/s": hundreds,
    "no-op items through a warm worker, items/s": noop_items,
}
"""In this order: the last one sets the queue going."""


@click.command()
@click.option("--rounds", default=5, show_default=True, help="Interleaved rounds.")
@click.option("--quick", is_flag=True, help="One small round: whether it works, not how fast it is.")
@click.option("--folder", type=click.Path(path_type=Path), help="On the disk to measure [default: here].")
@click.option("--output", type=click.Path(path_type=Path), help="Also write the results there as JSON.")
def main(rounds: int, quick: bool, folder: Path | None, output: Path | None) -> None:
    """Measure Stoker beside the bare limit; what counts are the ratios within a round."""
    rounds, scale = (1, 0.1) if quick else (rounds, 1.0)
    figures: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    fsyncs: list[float] = []
    for number in range(rounds):
        for contender in (Limit(), Stoker()) if number % 2 == 0 else (Stoker(), Limit()):
            with tempfile.TemporaryDirectory(dir=folder or Path.cwd()) as scratch:
                fsyncs.append(fsync_us(Path(scratch)))
                contender.start(Path(scratch))
                try:
                    for name, measure in MEASURES.items():
                        figures[name][contender.name].append(measure(contender, scale))
                finally:
                    contender.stop()
    results = [summary(name, by_contender) for name, by_contender in figures.items()]
    print_table(results, fsyncs)
    if output:
        output.write_text(json.dumps({"machine": machine(), "fsync_us": fsyncs, "results": results}, indent=2) + "\n")


def summary(name: str, by_contender: dict[str, list[float]]) -> dict[str, object]:
    """Medians, and the ratios of the rounds with their range."""
    ratios = [ours / limit for ours, limit in zip(by_contender["stoker"], by_contender["limit"], strict=True)]
    return {
        "measure": name,
        "limit": statistics.median(by_contender["limit"]),
        "stoker": statistics.median(by_contender["stoker"]),
        "ratio": statistics.median(ratios),
        "range": [min(ratios), max(ratios)],
    }


def print_table(results: list[dict[str, object]], fsyncs: list[float]) -> None:
    """What a person reads."""
    print(f"{'':44}{'limit':>10}{'stoker':>10}{'ratio':>8}   range")
    for row in results:
        low, high = row["range"]  # pyright: ignore[reportGeneralTypeIssues, reportUnknownVariableType]  # from summary
        print(f"{row['measure']:44}{row['limit']:10.0f}{row['stoker']:10.0f}{row['ratio']:8.2f}   {low:.2f}-{high:.2f}")
    print(f"fdatasync of 4 KiB: median {statistics.median(fsyncs):.0f} us ({min(fsyncs):.0f}-{max(fsyncs):.0f})")


def fsync_us(folder: Path, times: int = 50) -> float:
    """The disk's anchor: the median time of an append of 4 KiB and its fdatasync."""
    file = os.open(folder / "anchor", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    try:
        return statistics.median(_fsync_us(file) for _ in range(times))
    finally:
        os.close(file)


def _fsync_us(file: int) -> float:
    began_s = time.perf_counter()
    os.write(file, bytes(4096))
    os.fdatasync(file)
    return (time.perf_counter() - began_s) * 1e6


def machine() -> dict[str, object]:
    """What the figures hold for."""
    return {"cores": os.cpu_count(), "platform": platform.platform(), "python": platform.python_version()}


if __name__ == "__main__":
    main()
