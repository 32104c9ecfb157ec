"""What is measured, beside what it should be, and how that is shown."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

Relation = Literal["<=", ">="]


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured value and its target, if it has one; `made_of` says what it was computed from. Ratios have no unit.

    `low` and `high` are the range over the rounds of a run, of which the value is the median.
    """

    name: str
    value: float
    unit: str
    relation: Relation
    target: float | None
    made_of: str
    low: float | None = None
    high: float | None = None

    @property
    def is_met(self) -> bool:
        """Whether it is what it should be."""
        if self.target is None:
            return True
        return self.value <= self.target if self.relation == "<=" else self.value >= self.target

    def row(self) -> str:
        """What a person reads."""
        wanted = "" if self.target is None else f"{self.relation} {self.target:g}"
        met = "" if self.target is None else "yes" if self.is_met else "NO"
        return f"{self.name:46}{self.value:9.2f} {self.unit:5}{wanted:>9} {met:4} {self.what}".rstrip()

    @property
    def what(self) -> str:
        """The range over the rounds, and what it was computed from."""
        spread = "" if self.low is None or self.high is None else f"{self.low:.2f} to {self.high:.2f}"
        return "; ".join(part for part in (spread, self.made_of) if part)

    def shape(self) -> dict[str, Any]:
        """What a script reads."""
        return {**asdict(self), "is_met": self.is_met}


def ratio(
    name: str,
    ours: Sequence[float],
    theirs: Sequence[float],
    relation: Relation,
    target: float | None,
    made_of: str = "",
) -> Figure:
    """Ours to theirs of the same round: the median and the range over the rounds, since a disk and a host vary."""
    ratios = [our / their for our, their in zip(ours, theirs, strict=True)]
    return Figure(name, statistics.median(ratios), "", relation, target, made_of, min(ratios), max(ratios))


def medians(values: Sequence[float], rounds: int) -> list[float]:
    """Of as many equal portions of the values, one after the other, as there are rounds."""
    each = len(values) // rounds
    return [statistics.median(values[number * each : (number + 1) * each]) for number in range(rounds)]


@dataclass(frozen=True, slots=True)
class Comparison:
    """One measure of several contenders, each with its value in each round.

    An anchor says what the machine was like meanwhile, and is no measure of theirs: it has no ratios.
    """

    name: str
    unit: str
    values: dict[str, list[float]]
    is_anchor: bool = False

    def rows(self, base: str) -> list[str]:
        """What a person reads: medians, and the range of the ratios to one of them."""
        ratios = self.to(base)
        lines = [f"{self.name} ({self.unit})"]
        for name, values in self.values.items():
            low, middle, high = ratios.get(name, (1.0, 1.0, 1.0))
            beside = f"{middle:10.2f} of {base}'s, {low:.2f} to {high:.2f}" if name in ratios else ""
            lines.append(f"  {name:28}{statistics.median(values):12,.1f}{beside}")
        return lines

    def to(self, base: str) -> dict[str, tuple[float, float, float]]:
        """The least, the median and the most of the others' ratios to one of them, of the same rounds."""
        if self.is_anchor or base not in self.values:
            return {}
        ratios = {
            name: [their / own for their, own in zip(values, self.values[base], strict=True)]
            for name, values in self.values.items()
            if name != base
        }
        return {name: (min(found), statistics.median(found), max(found)) for name, found in ratios.items()}


@dataclass(frozen=True, slots=True)
class Findings:
    """What a part of the benchmark has found, what it could not measure and why, and the contenders by their names."""

    figures: list[Figure]
    comparisons: list[Comparison] = field(default_factory=list[Comparison])
    left_out: dict[str, str] = field(default_factory=dict[str, str])
    contenders: dict[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Setting:
    """Where and how much to measure; `quick` shows only that it works. The folder is on the disk to measure.

    `environments` is where peers are installed; a quick run takes only those that are there.
    """

    folder: Path
    rounds: int
    quick: bool
    environments: Path = Path(".venv-peers")


Part = Callable[[Setting], list[Figure]]
"""One part of the benchmark: it makes its own daemons or databases and leaves nothing behind."""
Comparing = Callable[[Setting], Findings]
"""One that compares several contenders."""


def found(part: Part | Comparing, setting: Setting) -> Findings:
    """What a part has found, of either kind."""
    findings = part(setting)
    return findings if isinstance(findings, Findings) else Findings(findings)
