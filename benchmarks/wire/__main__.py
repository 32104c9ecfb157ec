"""Measures the wire and prints each figure beside what it should be: python -m benchmarks.wire --help."""

import json
from pathlib import Path

import click

from benchmarks.core.figures import Part, Setting
from benchmarks.wire.events import fan_out, latency
from benchmarks.wire.keys import keys_cost

PARTS: dict[str, Part] = {"keys": keys_cost, "latency": latency, "fan_out": fan_out}


@click.command()
@click.argument("parts", nargs=-1, type=click.Choice(list(PARTS)))
@click.option("--rounds", default=5, show_default=True, help="Interleaved rounds with keys and without.")
@click.option("--quick", is_flag=True, help="As little as possible: whether it works, not how fast it is.")
@click.option("--folder", type=click.Path(path_type=Path), help="On the disk to measure [default: here].")
@click.option("--output", type=click.Path(path_type=Path), help="Also write the figures there as JSON.")
def main(parts: tuple[str, ...], rounds: int, quick: bool, folder: Path | None, output: Path | None) -> None:
    """Measure PARTS of the wire, by default all; a minute each."""
    setting = Setting(folder or Path.cwd(), 1 if quick else rounds, quick)
    figures = [figure for name in parts or PARTS for figure in PARTS[name](setting)]
    for figure in figures:
        print(figure.row())
    if output:
        output.write_text(json.dumps({"figures": [figure.shape() for figure in figures]}, indent=2) + "\n")


if __name__ == "__main__":
    main()
