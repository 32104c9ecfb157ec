"""Lets a daemon work for hours while it and its helpers are killed, and says what was lost and what grew."""

import json
import random
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

import click
from tests.fault.audit import audit_settled

from benchmarks.core.figures import Figure
from benchmarks.soak.people import Submitter, Watcher
from benchmarks.soak.samples import Growth, Samples
from benchmarks.soak.studio import Studio, a_studio
from benchmarks.waves.daemons import await_empty
from stoker_protocol.jobs import JobState

LOOK_S = 10.0
SETTLE_S = 600.0
LIFE_S = {"daemon": 900.0, "worker": 60.0, "comfyui": 150.0, "llm": 150.0}
"""The mean time from one death to the next."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How many jobs come in a second, and how many times as hastily all else happens."""

    jobs_a_second: float = 0.5
    haste: float = 1.0


QUICK = Pace(jobs_a_second=3, haste=100)


class Soak:
    """One run: who submits, who watches, who dies when."""

    def __init__(self, studio: Studio, folder: Path, seed: int, pace: Pace) -> None:
        self._studio = studio
        self._dice = random.Random(seed)
        self._pace = pace
        self._next_death_s = {victim: time.monotonic() + self._life_s(victim) for victim in studio.kill}
        self.deaths: Counter[str] = Counter()
        self.samples = Samples(folder / "samples.jsonl")
        self.submitter = Submitter(studio.daemon.control, seed)
        self.watcher = Watcher(studio.daemon.control)

    def run(self, until_s: float) -> None:
        """Steady work and random deaths until then."""
        look_s = 0.0
        while (now_s := time.monotonic()) < until_s:
            self.submitter.tick()
            if now_s >= look_s:
                look_s = now_s + LOOK_S / self._pace.haste
                self._say(until_s - now_s)
            for victim in [victim for victim, at_s in self._next_death_s.items() if now_s >= at_s]:
                self._studio.kill[victim]()
                self.deaths[victim] += 1
                self._next_death_s[victim] = now_s + self._life_s(victim)
            time.sleep(1 / self._pace.jobs_a_second)

    def settle(self) -> None:
        """No more jobs and no more deaths; wait until all is done and told."""
        await_empty(self._studio.daemon.control, SETTLE_S, 1.0)
        self.watcher.await_ends(len(self.submitter.accepted))
        self.submitter.close()

    def _life_s(self, victim: str) -> float:
        return self._dice.expovariate(1 / LIFE_S[victim]) / self._pace.haste

    def _say(self, left_s: float) -> None:
        sample = self.samples.look(self._studio.daemon.pid)
        jobs = len(self.submitter.accepted)
        print(  # a progress line for those who wait
            f"\r{left_s / 60:4.0f} min left, {jobs} jobs, {sum(self.deaths.values())} deaths, "
            f"{sample.rss_mib:.1f} MiB, {sample.handles} handles ",
            end="",
            file=sys.stderr,
            flush=True,
        )


@click.command()
@click.option("--minutes", default=120.0, show_default=True, help="How long work comes and processes die.")
@click.option("--seed", type=int, help="Of the load and the deaths.  [default: another each time, and printed]")
@click.option("--quick", is_flag=True, help="Hastily, for some seconds: whether it works.")
@click.option("--folder", type=click.Path(path_type=Path), help="Keep all there.  [default: kept nowhere]")
@click.option("--output", type=click.Path(path_type=Path), help="Also write the figures there as JSON.")
def main(minutes: float, seed: int | None, quick: bool, folder: Path | None, output: Path | None) -> None:
    """Work at a steady rate while daemon, worker and servers are killed; then count what was lost and what grew."""
    seed = random.randrange(1 << 32) if seed is None else seed
    minutes, pace = (0.1, QUICK) if quick else (minutes, Pace())
    with tempfile.TemporaryDirectory() as scratch:
        kept = folder or Path(scratch)
        kept.mkdir(parents=True, exist_ok=True)
        with a_studio(kept) as studio:
            soak = Soak(studio, kept, seed, pace)
            soak.run(time.monotonic() + minutes * 60)
            soak.settle()
        states = audit_settled(kept / "data").states
    growth = soak.samples.growth()
    print(file=sys.stderr)
    figures = [*_losses(soak, states), *_growths(growth)]
    for figure in figures:
        print(figure.row())
    print(f"{minutes:g} minutes, seed {seed}, deaths: {dict(soak.deaths)}, links: {dict(soak.watcher.links)}")
    if output:
        run = {"minutes": minutes, "seed": seed, "deaths": soak.deaths, "growth": asdict(growth)}
        output.write_text(json.dumps({**run, "figures": [figure.shape() for figure in figures]}, indent=2) + "\n")
    sys.exit(0 if all(figure.is_met for figure in figures) else 1)


def _losses(soak: Soak, states: Counter[str]) -> list[Figure]:
    accepted = soak.submitter.accepted
    ends = soak.watcher.ends
    told_once = sum(ends[job_id, JobState.SUCCEEDED] == 1 for job_id in accepted)
    made_of = f"{len(accepted)} jobs; items by state: {dict(states)}"
    watched = f"of {len(accepted)} jobs the watcher was told once that they succeeded; its error: {soak.watcher.error}"
    return [
        Figure("accepted items that did not succeed", accepted.total() - states["succeeded"], "", "<=", 0, made_of),
        Figure("jobs whose end was not told exactly once", len(accepted) - told_once, "", "<=", 0, watched),
    ]


def _growths(growth: Growth) -> list[Figure]:
    lives = f"the most of {growth.lives} lives, the longest {growth.longest_s / 60:.0f} min"
    return [
        Figure(
            "memory gained by a warm daemon",
            growth.rss_mib,
            "MiB",
            "<=",
            5,
            f"{lives}; {growth.highest_rss_mib} MiB at most",
        ),
        Figure("file handles gained", growth.handles, "", "<=", 2, f"{lives}; {growth.most_handles} at most"),
        Figure("threads gained", growth.threads, "", "<=", 2, lives),
    ]


if __name__ == "__main__":
    main()
