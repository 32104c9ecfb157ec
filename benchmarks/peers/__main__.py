"""Measures Stoker and its peers in turns and prints their rates, each beside Stoker's of the same round."""

import json
import os
import platform
import statistics
import tempfile
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from benchmarks.core.__main__ import fsync_us
from benchmarks.core.contenders import Limit, Stoker
from benchmarks.peers.contenders import MEASURES, Beanstalkd, Core, Huey, Peer, RedisStreams, Rq, Unavailable

RESULTS = Path(__file__).parents[1] / "results" / "peers.json"
COUNTS = {"one by one": 1_500, "64 clients": 6_000, "100 a request": 20_000, "no-op items": 1_000}
QUICK = 20
"""By how much less a quick run measures."""

Rates = dict[str, dict[str, list[float]]]
"""By peer and measure, one of each round."""


@click.command()
@click.argument("names", nargs=-1)
@click.option("--rounds", default=5, show_default=True, help="Rounds, each with all peers in turns.")
@click.option("--quick", is_flag=True, help="As little as possible: whether it works, not how fast it is.")
@click.option("--folder", type=click.Path(path_type=Path), help="On the disk to measure [default: here].")
@click.option("--environments", type=click.Path(path_type=Path), default=Path(".venv-peers"), show_default=True)
@click.option("--output", type=click.Path(path_type=Path), default=RESULTS, help="Where the figures go as JSON.")
def main(
    names: tuple[str, ...], rounds: int, quick: bool, folder: Path | None, environments: Path, output: Path
) -> None:
    """Measure NAMES (beanstalkd, redis, huey, rq; by default all) beside Stoker and the limit of its design."""
    folder = folder or Path.cwd()
    makers: dict[str, Callable[[], Peer]] = {
        "limit": lambda: Core(Limit(), "the least that keeps a queue durable: no checks, no events, one table"),
        "stoker": lambda: Core(Stoker(), "all of it"),
        "beanstalkd": Beanstalkd,
        "redis": RedisStreams,
        "huey": lambda: Huey(environments.absolute()),
        "rq": lambda: Rq(environments.absolute()),
    }
    if unknown := set(names) - set(makers):
        raise click.BadParameter(f"{', '.join(sorted(unknown))}; one of: {', '.join(makers)}", param_hint="NAMES")
    wanted = [maker for name, maker in makers.items() if not names or name in (*names, "limit", "stoker")]
    fsyncs = [fsync_us(folder)]
    rates, left_out = _measure(wanted, 1 if quick else rounds, QUICK if quick else 1, folder)
    fsyncs.append(fsync_us(folder))
    print(table(rates))
    for name, reason in left_out.items():
        print(f"left out: {name}: {reason}")
    print(f"fdatasync of 4 KiB: {min(fsyncs):.0f} to {max(fsyncs):.0f} us")
    machine = {"cores": os.cpu_count(), "platform": platform.platform(), "python": platform.python_version()}
    facts: dict[str, Any] = {"machine": machine, "fsync_us": fsyncs, "rates": rates, "left_out": left_out}
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(facts, indent=2) + "\n")


def table(rates: Rates) -> str:
    """Each peer's median rate, and the range of its ratios to Stoker's of the same round, as Markdown."""
    lines = [f"| a second | {' | '.join(MEASURES)} |", "| --- " * (1 + len(MEASURES)) + "|"]
    for peer, found in rates.items():
        cells = [_cell(found[measure], rates["stoker"][measure]) if measure in found else "" for measure in MEASURES]
        lines.append(f"| {peer} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(theirs: list[float], ours: list[float]) -> str:
    ratios = [their / our for their, our in zip(theirs, ours, strict=True)]
    return f"{statistics.median(theirs):.0f} ({min(ratios):.2f} to {max(ratios):.2f})"


def _measure(makers: list[Callable[[], Peer]], rounds: int, divisor: int, folder: Path) -> tuple[Rates, dict[str, str]]:
    """All in each round, forth and back in turns; who can't be measured is left out of all, with the reason."""
    rates: Rates = defaultdict(lambda: defaultdict(list))
    left_out: dict[str, str] = {}
    for number in range(rounds):
        for maker in makers if number % 2 == 0 else reversed(makers):
            peer = maker()
            if peer.name in left_out:
                continue
            with tempfile.TemporaryDirectory(dir=folder) as own:
                try:
                    peer.start(Path(own))
                except Unavailable as error:
                    left_out[peer.name] = str(error)
                    continue
                try:
                    for measure, count in COUNTS.items():
                        rate = peer.rate(measure, count // divisor)
                        if rate is not None:
                            rates[peer.name][measure].append(rate)
                finally:
                    peer.stop()
    return rates, left_out


if __name__ == "__main__":
    main()
