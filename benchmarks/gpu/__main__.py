"""Measures what a GPU host gets done with Stoker, beside what it gets done without, on a real ComfyUI, in one run."""

import json
import sys
import tempfile
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from benchmarks.core.figures import Figure
from benchmarks.gpu import measures
from benchmarks.gpu.host import look_at, started
from benchmarks.gpu.measures import FULL, LEAST, SMALL, Run
from benchmarks.machine import facts
from benchmarks.results import commit

MEASURES: dict[str, Callable[[Run], list[Figure]]] = {
    "batches": measures.batches,
    "waves": measures.waves,
    "merging": measures.merging,
    "feeding": measures.feeding,
    "estimates": measures.estimates,
}


@click.command(epilog="Example: python -m benchmarks.gpu --url http://127.0.0.1:8188 --output gpu.json")
@click.argument("names", nargs=-1, type=click.Choice(list(MEASURES)))
@click.option(
    "--url", help="A ComfyUI that runs there, with its own checkpoints and, if they are installed, our nodes."
)
@click.option("--server", type=click.Path(exists=True, path_type=Path), help="Or a checkout of ComfyUI, to be started.")
@click.option("--python", default=sys.executable, help="A Python that has what the checkout requires.")
@click.option(
    "--models", type=click.Path(path_type=Path), help="Where its random weights are kept.  [default: nowhere]"
)
@click.option("--cpu", is_flag=True, help="Start it without a GPU.")
@click.option("--small", is_flag=True, help="Small pictures and models, few of them: for a CPU.")
@click.option("--quick", is_flag=True, help="As little as possible: whether it works, not how fast it is.")
@click.option("--folder", type=click.Path(path_type=Path), help="On the disk to use.  [default: here]")
@click.option("--output", type=click.Path(path_type=Path), help="Also write the figures there as JSON.")
def main(
    names: tuple[str, ...],
    url: str | None,
    server: Path | None,
    python: str,
    models: Path | None,
    cpu: bool,
    small: bool,
    quick: bool,
    folder: Path | None,
    output: Path | None,
) -> None:
    """Measure pictures a minute by batch, waves, shared prompts, other ways of feeding the server, and estimates."""
    if (url is None) == (server is None):
        raise click.UsageError("name a server that runs by --url, or a checkout of ComfyUI by --server")
    scale = LEAST if quick else SMALL if small else FULL
    with tempfile.TemporaryDirectory(dir=folder or Path.cwd()) as scratch:
        home = models or Path(scratch) / "server"
        with _served(url, server, python, home.absolute(), small=small or quick, cpu=cpu) as at:
            run, machine = Run(look_at(at), scale, Path(scratch), {}), facts(Path(scratch))
            print(f"ComfyUI {run.host.version} on {run.host.device}")
            figures = [figure for name in names or MEASURES for figure in _measured(name, run)]
    for what, why in run.left_out.items():
        print(f"left out: {what}: {why}")
    if output:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(json.dumps(_result(run, figures, machine), indent=1) + "\n")


@contextmanager
def _served(
    url: str | None, server: Path | None, python: str, folder: Path, *, small: bool, cpu: bool
) -> Generator[str]:
    """The address of the server."""
    if server is None:
        assert url is not None  # the command line was checked
        yield url
    else:
        with started(server.absolute(), python, folder, small=small, cpu=cpu) as own:
            yield own


def _measured(name: str, run: Run) -> list[Figure]:
    """One measure, told as soon as it is there."""
    figures = MEASURES[name](run)
    for figure in figures:
        print(figure.row(), flush=True)
    return figures


def _result(run: Run, figures: list[Figure], machine: dict[str, Any]) -> dict[str, Any]:
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "machine": machine,
        "device": run.host.device,
        "is_gpu": run.host.is_gpu,
        "comfyui": run.host.version,
        "scale": asdict(run.scale),
        "figures": [figure.shape() for figure in figures],
        "left_out": run.left_out,
    }


if __name__ == "__main__":
    main()
