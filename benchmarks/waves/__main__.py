"""Measures how often models are loaded, and how long all takes, in waves and first come, first served, in one run."""

import json
from pathlib import Path

import click
import httpx

from benchmarks.core.figures import Figure
from benchmarks.waves.daemons import SMALL, ComfyUI, Kind, RealComfyUI, Sprites, measure

KINDS: dict[str, Kind] = {"python": Sprites(), "comfyui": ComfyUI()}


@click.command()
@click.option("--engine", "engines", type=click.Choice(list(KINDS)), multiple=True, help="Only this.  [default: all]")
@click.option(
    "--url", help="Also a real ComfyUI that runs there, with two checkpoints or more; its loads take what they take."
)
@click.option("--items", default=500, show_default=True, help="Jobs of one item, for five models in shuffled order.")
@click.option("--load-s", default=2.0, show_default=True, help="Seconds that a model takes to load.")
@click.option("--quick", is_flag=True, help="As little as possible: whether it works, not how fast it is.")
@click.option("--folder", type=click.Path(path_type=Path), help="On the disk to measure.  [default: here]")
@click.option("--output", type=click.Path(path_type=Path), help="Also write the figures there as JSON.")
def main(
    engines: tuple[str, ...],
    url: str | None,
    items: int,
    load_s: float,
    quick: bool,
    folder: Path | None,
    output: Path | None,
) -> None:
    """Let real daemons work off the same queue, in waves and first come, first served."""
    items, load_s = (40, 0.05) if quick else (items, load_s)
    kinds = [KINDS[name] for name in (engines or ([] if url else KINDS))]
    kinds += [RealComfyUI(url, checkpoints_of(url), SMALL)] if url else []
    figures = [figure for kind in kinds for figure in compare(kind, items, load_s, folder or Path.cwd())]
    for figure in figures:
        print(figure.row())
    if output:
        output.write_text(json.dumps({"figures": [figure.shape() for figure in figures]}, indent=2) + "\n")


def checkpoints_of(url: str) -> list[str]:
    """Those that a server has, five at most."""
    return httpx.get(f"{url}/models/checkpoints", timeout=60, trust_env=False).json()[:5]


def compare(kind: Kind, items: int, load_s: float, folder: Path) -> list[Figure]:
    """What waves need, beside what first come, first served does."""
    waves = measure(kind, "waves", items, load_s, folder)
    fifo = measure(kind, "fifo", items, load_s, folder)
    loads = f"first come, first served {fifo.loads}, {items} items over {len(kind.models)} models"
    how_long = "the server's own loads" if isinstance(kind, RealComfyUI) else f"loads of {load_s:g} s"
    times = f"{fifo.seconds:.1f} s by {waves.seconds:.1f} s, {how_long}"
    return [
        Figure(f"{kind.name}: loads in waves", waves.loads, "", "<=", len(kind.models) + 3, loads),
        Figure(f"{kind.name}: times as fast", fifo.seconds / waves.seconds, "x", ">=", 5, times),
    ]


if __name__ == "__main__":
    main()
