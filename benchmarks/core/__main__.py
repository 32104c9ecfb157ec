"""Measures the core and prints each figure beside what it should be."""

import json
import statistics
from pathlib import Path

import click

from benchmarks.core.bounding import bounding
from benchmarks.core.figures import Comparing, Figure, Part, Setting, found
from benchmarks.core.filling import filling
from benchmarks.core.footprint import footprint
from benchmarks.core.picking import picking
from benchmarks.core.pinging import pinging
from benchmarks.core.recovering import recovering
from benchmarks.core.starting import starting
from benchmarks.core.throughput import throughput
from benchmarks.machine import facts, fsync_us

PARTS: dict[str, Part | Comparing] = {
    "throughput": throughput,
    "picking": picking,
    "footprint": footprint,
    "starting": starting,
    "pinging": pinging,
    "bounding": bounding,
    "recovering": recovering,
    "filling": filling,
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
    machine = facts(setting.folder)
    fsyncs: list[float] = []
    figures: list[Figure] = []
    for name in parts or PARTS:
        fsyncs.append(fsync_us(setting.folder))
        for figure in found(PARTS[name], setting).figures:
            figures.append(figure)
            print(figure.row(), flush=True)
    print(f"fdatasync of 4 KiB: median {statistics.median(fsyncs):.0f} us ({min(fsyncs):.0f}-{max(fsyncs):.0f})")
    if output:
        shapes = [figure.shape() for figure in figures]
        output.write_text(json.dumps({"machine": machine, "fsync_us": fsyncs, "figures": shapes}, indent=2) + "\n")


if __name__ == "__main__":
    main()
