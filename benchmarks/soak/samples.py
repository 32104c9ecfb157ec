"""What the daemon uses over the hours: memory, file handles and threads, by how long it has lived."""

import json
import statistics
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.core.processes import rss_mib

WARM_S = 120.0
"""A daemon that is younger still fills its caches."""
MANY = 6
"""Fewer looks at a life say nothing."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at a daemon: its process, how many seconds that has lived, and what it uses."""

    pid: int
    age_s: float
    rss_mib: float
    handles: int
    threads: int


@dataclass(frozen=True, slots=True)
class Growth:
    """What the lives of the daemons say together: from the first third of each, once it was warm, to the last."""

    lives: int
    longest_s: float
    rss_mib: float
    handles: float
    threads: float
    highest_rss_mib: float
    most_handles: int


class Samples:
    """All looks of a soak, each also a line of a file."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._born_s: dict[int, float] = {}
        self._lives: defaultdict[int, list[Sample]] = defaultdict(list)

    def look(self, pid: int) -> Sample:
        """Look at the daemon, which must be alive."""
        now_s = time.monotonic()
        age_s = now_s - self._born_s.setdefault(pid, now_s)
        handles, threads = (sum(1 for _ in Path(f"/proc/{pid}/{name}").iterdir()) for name in ("fd", "task"))
        sample = Sample(pid, round(age_s, 1), round(rss_mib(pid), 2), handles, threads)
        self._lives[pid].append(sample)
        with self._file.open("a") as file:
            file.write(json.dumps(asdict(sample)) + "\n")
        return sample

    def growth(self) -> Growth:
        """How much the daemons grew while they lived: the most that any of them did."""
        lives = list(self._warm_lives())
        return Growth(
            lives=len(self._lives),
            longest_s=max((samples[-1].age_s for samples in self._lives.values()), default=0.0),
            rss_mib=max((_rise([sample.rss_mib for sample in life]) for life in lives), default=0.0),
            handles=max((_rise([sample.handles for sample in life]) for life in lives), default=0.0),
            threads=max((_rise([sample.threads for sample in life]) for life in lives), default=0.0),
            highest_rss_mib=max(sample.rss_mib for life in self._lives.values() for sample in life),
            most_handles=max(sample.handles for life in self._lives.values() for sample in life),
        )

    def _warm_lives(self) -> Iterator[list[Sample]]:
        for samples in self._lives.values():
            warm = [sample for sample in samples if sample.age_s >= WARM_S]
            if len(warm) >= MANY:
                yield warm


def _rise(values: list[float] | list[int]) -> float:
    third = len(values) // 3
    return statistics.median(values[-third:]) - statistics.median(values[:third])
