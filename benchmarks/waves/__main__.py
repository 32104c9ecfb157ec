"""Measures how often models are loaded, and how long all takes, in waves and first come, first served, in one run."""

import json
from pathlib import Path

import click

from benchmarks.core.figures import Figure
from benchmarks.waves.daemons import ComfyUI, Kind, Sprites, measure

KINDS: dict[str, Kind] = {"python": Sprites(), "comfyui": ComfyUI()}


@click.command()
@click.option("--engine", "engines", type=click.Choice(list(KINDS)), multiple=True, help="Only this.  [default: all]")
@click.option("--items", default=500, show_default=True, help="Jobs of one item, for five models in shuffled order.")
@click.option("--load-s", default=2.0, show_default=True, help="Seconds that a model takes to load.")
@click.option("--quick", is_flag=True, help="As little as possible: whether it works, not how fast it is.")
@click.option("--folder", type=click.Path(path_type=Path), help="On the disk to measure.  [default: here]")
@click.option("--output", type=click.Path(path_type=Path), help="Also write the figures there as JSON.")
def main(
    engines: tuple[str, ...], items: int, load_s: float, quick: bool, folder: Path | None, output: Path | None
) -> None:
    """Let real daemons work off the same queue, in waves and first come, first served."""
    items, load_s = (40, 0.05) if quick else (items, load_s)
    figures = [
        figure for name in engines or KINDS for figure in compare(KINDS[name], items, load_s, folder or Path.cwd())
    ]
    for figure in figures:
        print(figure.row())
    if output:
        output.write_text(json.dumps({"figures": [figure.shape() for figure in figures]}, indent=2) + "\n")


def compare(kind: Kind, items: int, load_s: float, folder: Path) -> list[Figure]:
    """What waves need, beside what first come, first served does."""
    waves = measure(kind, "waves", items, load_s, folder)
    fifo = measure(kind, "fifo", items, load_s, folder)
    loads = f"first come, first served {fifo.loads}, {items} items"
    times = f"{fifo.seconds:.1f} s by {waves.seconds:.1f} s, loads of {load_s:g} s"
    return [
        Figure(f"{kind.name}: loads in waves", waves.loads, "", "<=", 8, loads),
        Figure(f"{kind.name}: times as fast", fifo.seconds / waves.seconds, "x", ">=", 5, times),
    ]


if __name__ == "__main__":
    main()
