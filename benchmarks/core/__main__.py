"""Measures the core and prints each figure beside what it should be."""

import json
import os
import platform
import statistics
import time
from pathlib import Path
from typing import Any

import click

from benchmarks.core.bounding import bounding
from benchmarks.core.figures import Figure, Part, Setting
from benchmarks.core.footprint import footprint
from benchmarks.core.picking import picking
from benchmarks.core.pinging import pinging
from benchmarks.core.starting import starting
from benchmarks.core.throughput import throughput

PARTS: dict[str, Part] = {
    "throughput": throughput,
    "picking": picking,
    "footprint": footprint,
    "starting": starting,
    "pinging": pinging,
    "bounding": bounding,
}


@click.command()
@click.argument("parts", nargs=-1, type=click.Choice(list(PARTS)))
@click.option("--rounds", default=5, show_default=True, help="Interleaved rounds beside the bare limit.")
@click.option("--quick", is_flag=True, help="As little as possible: whether it works, not how fast it is.")
@click.option("--folder", type=click.Path(path_type=Path), help="On the disk to measure [default: here].")
@click.option("--output", type=click.Path(path_type=Path), help="Also write the figures there as JSON.")
def main(parts: tuple[str, ...], rounds: int, quick: bool, folder: Path | None, output: Path | None) -> None:
    """Measure PARTS of the core, by default all; some minutes each."""
    setting = Setting(folder or Path.cwd(), 1 if quick else rounds, quick)
    fsyncs: list[float] = []
    figures: list[Figure] = []
    for name in parts or PARTS:
        fsyncs.append(fsync_us(setting.folder))
        for figure in PARTS[name](setting):
            figures.append(figure)
            print(figure.row(), flush=True)
    print(f"fdatasync of 4 KiB: median {statistics.median(fsyncs):.0f} us ({min(fsyncs):.0f}-{max(fsyncs):.0f})")
    if output:
        output.write_text(json.dumps(report(figures, fsyncs), indent=2) + "\n")


def report(figures: list[Figure], fsyncs: list[float]) -> dict[str, Any]:
    """The figures with what they hold for."""
    machine = {"cores": os.cpu_count(), "platform": platform.platform(), "python": platform.python_version()}
    return {"machine": machine, "fsync_us": fsyncs, "figures": [figure.shape() for figure in figures]}


def fsync_us(folder: Path, times: int = 50) -> float:
    """The disk's anchor: the median time of an append of 4 KiB and its fdatasync."""
    anchor = folder / "benchmark.anchor"
    file = os.open(anchor, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    try:
        return statistics.median(_fsync_us(file) for _ in range(times))
    finally:
        os.close(file)
        anchor.unlink()


def _fsync_us(file: int) -> float:
    began_s = time.perf_counter()
    os.write(file, bytes(4096))
    os.fdatasync(file)
    return (time.perf_counter() - began_s) * 1e6


if __name__ == "__main__":
    main()
