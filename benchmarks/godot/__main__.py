"""Measures how many events a second the Godot plugin follows, and what it costs the editor's frames meanwhile."""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click
from tests.clients.godot.editor import Editor, Script, new_project

from benchmarks.core.figures import Figure
from benchmarks.godot.firehose import Firehose

PACE = 5_000
FRAME_MS = 2.0


@click.command()
@click.option("--seconds", default=4.0, show_default=True, help="Of events at a pace of 5 000/s, in the editor.")
@click.option("--rounds", default=3, show_default=True, help="Interleaved rounds beside the bare limit.")
@click.option("--quick", is_flag=True, help="As little as possible: whether it works, not how fast it is.")
@click.option("--output", type=click.Path(path_type=Path), help="Also write the figures there as JSON.")
def main(seconds: float, rounds: int, quick: bool, output: Path | None) -> None:
    """Pour events over the plugin in Debian's godot3-server, on a quiet machine: frames of the editor are timed."""
    rounds, seconds = (1, 0.2) if quick else (rounds, seconds)
    count = int(PACE * seconds)
    with tempfile.TemporaryDirectory() as scratch:
        figures = [*fastest(Path(scratch), count, rounds), *paced(Path(scratch), count)]
    for figure in figures:
        print(figure.row())
    if output:
        output.write_text(json.dumps({"figures": [figure.shape() for figure in figures]}, indent=2) + "\n")


def fastest(scratch: Path, count: int, rounds: int) -> list[Figure]:
    """As fast as they are taken: the plugin's link, and a bare subscriber on the same stream."""
    plugin: list[float] = []
    bare: list[float] = []
    for number in range(rounds):
        bare.append(count / _bare_s(count))
        plugin.append(count / _link_s(new_project(scratch / f"game-{number}"), count))
    best, limit = max(plugin), max(bare)
    made_of = f"best of {rounds}: {min(plugin):.0f} to {best:.0f}; bare pyzmq and msgspec {limit:.0f}/s"
    return [
        Figure("events followed, as fast as they come", best, "/s", ">=", PACE, made_of),
        Figure("the same beside a bare subscriber", best / limit, "", ">=", 0.05, made_of),
    ]


def paced(scratch: Path, count: int) -> list[Figure]:
    """At 5 000 a second, in the editor with its dock: whether it keeps up, and how long its frames take."""
    project = new_project(scratch / "editor", "stoker", "probe")
    with Firehose() as daemon:
        daemon.prepare(count)
        with Editor(project, daemon.control, frames_until=count) as editor:
            editor.wait_until(lambda told: told.get("summary", "").endswith("running, 0 waiting"))
            began_s = time.perf_counter()
            daemon.pour(PACE)
            told = editor.wait_until(lambda told: "frames" in told)
            took_s = time.perf_counter() - began_s
    frames, spins = (sorted(usec / 1000 for usec in told[name]) for name in ("frames", "spins"))
    lost = f"{count} events in {took_s:.2f} s, {told['counts']['caught_up']} of them asked for again"
    beside = f"spinning for 1.2 ms: 99 of 100 within {_at(spins, 0.99):.2f}, longest {spins[-1]:.2f}"
    made_of = f"{len(frames)} frames: median {_at(frames, 0.5):.2f}, longest {frames[-1]:.2f}; {beside}"
    return [
        Figure("events followed at 5 000/s in the editor", count / took_s, "/s", ">=", 0.95 * PACE, lost),
        Figure("the plugin's part of a frame, 99 of 100", _at(frames, 0.99), "ms", "<=", FRAME_MS, made_of),
    ]


def _bare_s(count: int) -> float:
    with Firehose() as daemon:
        daemon.prepare(count)
        command = [sys.executable, "-m", "benchmarks.godot.bare", daemon.events, str(count)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            process.stdout.readline()
            began_s = time.perf_counter()
            daemon.pour(None)
            process.stdout.readline()
            return time.perf_counter() - began_s


def _link_s(project: Path, count: int) -> float:
    with Firehose() as daemon:
        daemon.prepare(count)
        wanted = {"endpoint": daemon.control}
        with Script(project, "follow.gd", FOLLOW=json.dumps(wanted)) as script:
            script.wait_until(lambda told: told.get("link", {}).get("state") == "live")
            began_s = time.perf_counter()
            daemon.pour(None)
            script.wait_until(lambda told: told.get("counts", {}).get("through") == count)
            return time.perf_counter() - began_s


def _at(ordered: list[float], part: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))]


if __name__ == "__main__":
    main()
