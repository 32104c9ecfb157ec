"""What is measured, beside what it should be, and how that is shown."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured value and its target, if it has one; `made_of` says what it was computed from. Ratios have no unit."""

    name: str
    value: float
    unit: str
    relation: Literal["<=", ">="]
    target: float | None
    made_of: str

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
        return f"{self.name:46}{self.value:9.2f} {self.unit:5}{wanted:>9} {met:4} {self.made_of}"

    def shape(self) -> dict[str, Any]:
        """What a script reads."""
        return {**asdict(self), "is_met": self.is_met}


@dataclass(frozen=True, slots=True)
class Setting:
    """Where and how much to measure; `quick` shows only that it works. The folder is on the disk to measure."""

    folder: Path
    rounds: int
    quick: bool


Part = Callable[[Setting], list[Figure]]
"""One part of the benchmark: it makes its own daemons or databases and leaves nothing behind."""
