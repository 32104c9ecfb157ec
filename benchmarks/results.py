"""The results of whole runs, each in a file, and how well two of them agree."""

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.core.figures import Comparison, Figure, Findings
from benchmarks.machine import kind

RESULTS = Path(__file__).with_name("results")
ROOT = Path(__file__).parents[1]
Range = tuple[float, float, float]
"""The least, the median and the most over the rounds."""


@dataclass(frozen=True, slots=True)
class PartResult:
    """What came of one part; `fsync_us` is the disk's anchor before and after, `failed` why it did not end."""

    took_s: float
    fsync_us: list[float]
    findings: Findings = field(default_factory=lambda: Findings([]))
    failed: str = ""


@dataclass(frozen=True, slots=True)
class Result:
    """One run: when (UTC), of which commit, how many rounds, on what machine, and its parts."""

    date: str
    commit: str
    rounds: int
    machine: dict[str, Any]
    parts: dict[str, PartResult]

    @classmethod
    def read(cls, file: Path) -> "Result":
        """That of a file. Raises msgspec.ValidationError."""
        return msgspec.json.decode(file.read_bytes(), type=cls)

    @property
    def name(self) -> str:
        """Of its file: when, and on what kind of machine; names no host."""
        return f"{self.date.replace(':', '').replace('T', '-')}-{kind(self.machine)}.json"

    @property
    def failed(self) -> dict[str, str]:
        """The parts that did not end well, and why."""
        return {name: part.failed for name, part in self.parts.items() if part.failed}

    @property
    def figures(self) -> list[Figure]:
        """Of all parts."""
        return [figure for part in self.parts.values() for figure in part.findings.figures]

    @property
    def comparisons(self) -> list[Comparison]:
        """Of all parts."""
        return [comparison for part in self.parts.values() for comparison in part.findings.comparisons]


def save(result: Result, file: Path) -> Path:
    """Write it; where it is."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(msgspec.json.format(msgspec.json.encode(result), indent=1) + b"\n")
    return file


def newest(folder: Path = RESULTS) -> Path | None:
    """The file of the last run, since names begin with the time."""
    return max(folder.glob("*.json"), default=None)


def commit() -> str:
    """What is checked out, with a `+` if it was changed."""
    try:
        said = subprocess.run(
            ["git", "describe", "--always", "--dirty=+"],
            cwd=ROOT,
            check=True,
            capture_output=True,
            text=True,
            timeout=10,
        )
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return said.stdout.strip()


def ranges(result: Result) -> Iterator[tuple[str, Range]]:
    """Each ratio that has a range over rounds, by name."""
    for figure in result.figures:
        if figure.low is not None and figure.high is not None:
            yield figure.name, (figure.low, figure.value, figure.high)
    for comparison in result.comparisons:
        for contender, (low, middle, high) in comparison.to("stoker").items():
            yield f"{comparison.name}, {contender} to stoker", (low, middle, high)


def agreement(earlier: Result, later: Result) -> str:
    """How many ranges of two runs overlap, and which do not."""
    before, now = dict(ranges(earlier)), dict(ranges(later))
    both = [name for name in now if name in before]
    apart = [name for name in both if now[name][2] < before[name][0] or now[name][0] > before[name][2]]
    within = sum(before[name][0] <= now[name][1] <= before[name][2] for name in both)
    lines = [
        f"beside the run of {earlier.date}: of {len(both)} ranges {len(both) - len(apart)} overlap,"
        f" and {within} medians are within the earlier range"
    ]
    for name in apart:
        was, is_ = before[name], now[name]
        lines.append(f"  apart: {name}: {was[0]:.2f} to {was[2]:.2f}, now {is_[0]:.2f} to {is_[2]:.2f}")
    return "\n".join(lines)
