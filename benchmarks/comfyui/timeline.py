"""When prompts were at work, as the server itself has it in its history."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx


@dataclass(frozen=True, slots=True)
class Timeline:
    """Milliseconds of a server's clock: when each prompt began and ended, in order."""

    spans: Sequence[tuple[int, int]]

    @property
    def prompts_per_s(self) -> float:
        """From the beginning of the first to that of the last."""
        return (len(self.spans) - 1) * 1000 / max(1, self.spans[-1][0] - self.spans[0][0])

    @property
    def gap_ms(self) -> float:
        """How long the server idles between two prompts, on average."""
        return statistics.mean(
            later[0] - earlier[1] for earlier, later in zip(self.spans, self.spans[1:], strict=False)
        )

    @property
    def seconds(self) -> float:
        """From the beginning of the first to the end of the last."""
        return max(1, self.spans[-1][1] - self.spans[0][0]) / 1000

    @property
    def busy(self) -> float:
        """The part of that time in which the server was at work."""
        return sum(end - begin for begin, end in self.spans) / 1000 / self.seconds


def timeline_of(url: str, last: int) -> Timeline:
    """Of the prompts that the server has done last."""
    entries: dict[str, Any] = httpx.get(
        f"{url}/history", params={"max_items": last}, timeout=60, trust_env=False
    ).json()
    return Timeline(sorted(span_of(entry) for entry in entries.values()))


def span_of(entry: dict[str, Any]) -> tuple[int, int]:
    """When a prompt of the history began and ended."""
    said: dict[str, Any] = dict(entry["status"]["messages"])
    return said["execution_start"]["timestamp"], said["execution_success"]["timestamp"]
