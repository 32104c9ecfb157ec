"""What a person reads: tables, times, durations and colours (click drops colours where there is no terminal)."""

import os
import sys
import unicodedata
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import click

from stoker_protocol.jobs import ItemCounts, Job, Pause
from stoker_protocol.replies import HealthReport

GONE = "the configuration does not name it any more"
_FEW = 16
"""Characters in which a sentence can't be read."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_COLOURS = {
    "running": "cyan",
    "succeeded": "green",
    "ready": "green",
    "yes": "green",
    "NO": "red",
    "failed": "red",
    "rejected": "red",
    "down": "red",
    "cancelled": "yellow",
    "cancelling": "yellow",
    "paused": "yellow",
    "loading": "yellow",
    "starting": "yellow",
}


def wants_colour() -> bool | None:
    """False where nobody wants it (https://no-color.org), else None: where there is a terminal."""
    return False if os.environ.get("NO_COLOR") else None


class Cell(NamedTuple):
    """A table cell with a colour."""

    text: str
    colour: str | None = None


def table(headers: Sequence[str], rows: Sequence[Sequence[str | Cell]], room: int | None = None) -> str:
    """Columns as wide as their content; headers that end in `>` mark columns of numbers, set to the right.

    Where the last column is too wide for the terminal, or for `room` characters, it goes on in the next lines.
    """
    to_right = [header.endswith(">") for header in headers]
    lines = [[Cell(header.rstrip(">").upper(), "bright_black") for header in headers]]
    lines += [[cell if isinstance(cell, Cell) else Cell(cell) for cell in row] for row in rows]
    widths = [max(_width(clean(line[column].text)) for line in lines) for column in range(len(headers))]
    room = room or _room()
    if room and not to_right[-1]:
        left = room - sum(widths[:-1]) - 2 * len(widths[:-1])
        lines = [part for line in lines for part in _broken(line, left)]
    return "\n".join(_line(line, widths, to_right) for line in lines)


def clean(text: str) -> str:
    """Text that other people wrote, on one line and without anything that could steer a terminal."""
    return "".join(char if char.isprintable() else " " for char in text)


def clip(text: str, width: int = 40) -> str:
    """Text cut to a width."""
    return text if len(text) <= width else text[: width - 1] + "…"


def state(job: Job) -> Cell:
    """The state of a job; one that could otherwise run says so when it is paused, or waits for more items."""
    if job.state.is_final:
        return coloured(str(job.state))
    if job.paused:
        return coloured("paused")
    return coloured("open" if waits_for_items(job) else str(job.state))


def waits_for_items(job: Job) -> bool:
    """Whether all that an open job has is done, so that only more items, or its sealing, can move it."""
    return job.is_open and not job.items.pending and not job.items.running


def coloured(word: str) -> Cell:
    """A word in the colour of what it tells."""
    return Cell(word, _COLOURS.get(word))


def paint(cell: Cell) -> str:
    """A cell on its own, in its colour."""
    return click.style(clean(cell.text), fg=cell.colour) if cell.colour else clean(cell.text)


def title(job: Job) -> str:
    """How a job is called in a sentence: by its id, and its name if it has one."""
    return f"{job.job_id} ({clean(clip(job.name))})" if job.name else job.job_id


def making(job: Job) -> str:
    """What a job is made by: `plain`, `dream.safetensors by txt2img`, `workflow` of no model, or else its engine."""
    return clean(" by ".join(filter(None, (job.model, job.recipe))) or job.engine)


def counts(items: ItemCounts) -> str:
    """`12 succeeded, 1 failed, 3 pending`: the counts that are not zero."""
    names = ("succeeded", "failed", "rejected", "cancelled", "skipped", "running", "pending")
    return ", ".join(f"{getattr(items, name)} {name}" for name in names if getattr(items, name)) or "no items"


def pause_facts(pause: Pause) -> str:
    """`since 14:07:02 by local: I need the GPU`."""
    facts = f"since {clock(pause.at_ms)} by {clean(pause.author)}"
    return f"{facts}: {clean(pause.reason)}" if pause.reason else facts


def troubles(report: HealthReport, engines: Collection[str]) -> list[str]:
    """What keeps jobs of these engines from going on, a line each."""
    wrong = [
        (finding.part, finding.detail)
        for finding in report.findings
        if not finding.ok and (not finding.part.startswith("engine ") or finding.part[7:] in engines)
    ]
    wrong += [(f"engine {engine}", f"{GONE}; jobs for it wait until it does") for engine in gone(report, engines)]
    return [f"{click.style(clean(part), fg='yellow')}: {clean(detail)}" for part, detail in wrong]


def done(items: ItemCounts) -> str:
    """`12 of 40 done`: how many came to an end that is not a cancel."""
    return f"{items.finished - items.cancelled} of {items.total} done"


def gone(report: HealthReport, engines: Collection[str]) -> list[str]:
    """Which of these engines the daemon has no more; none, where its report tells of no engine at all."""
    known = {finding.part[7:] for finding in report.findings if finding.part.startswith("engine ")}
    return sorted(set(engines) - known) if known else []


def down(report: HealthReport) -> set[str]:
    """The engines that can't be reached or started."""
    return {finding.part[7:] for finding in report.findings if not finding.ok and finding.part.startswith("engine ")}


def plural(count: int, noun: str) -> str:
    """`1 item`, `2 items`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def timestamp(ms: int) -> str:
    """RFC 3339 in UTC with milliseconds."""
    return (_EPOCH + timedelta(milliseconds=ms)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def clock(ms: int) -> str:
    """The time of day where the reader is."""
    return (_EPOCH + timedelta(milliseconds=ms)).astimezone().strftime("%H:%M:%S")


def duration(seconds: float) -> str:
    """`<0.1 s`, `0.4 s`, `12 s`, `3 min 05 s`, `2 h 10 min`, `4 d 3 h`."""
    seconds = max(seconds, 0.0)
    if seconds < 0.05:  # which would be 0.0 s
        return "<0.1 s"
    if seconds < 9.95:  # what rounds to 10.0 is `10 s`
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    if whole < 86_400:
        return f"{whole // 3600} h {whole % 3600 // 60:02} min"
    return f"{whole // 86_400} d {whole % 86_400 // 3600} h"


def size(count: int) -> str:
    """Bytes for people: `900 B`, `12 KiB`, `3.4 MiB`, `1.2 GiB`."""
    if count < 1 << 10:
        return f"{count} B"
    if count < 1 << 20:
        return f"{count / (1 << 10):.0f} KiB"
    return f"{count / (1 << 20):.1f} MiB" if count < 1 << 30 else f"{count / (1 << 30):.1f} GiB"


def _room() -> int:
    """The width of the terminal, or 0 where there is none."""
    if not sys.stdout.isatty():
        return 0
    import shutil  # which scripts, who have no terminal, need not wait for

    return shutil.get_terminal_size().columns


def _broken(line: Sequence[Cell], left: int) -> list[Sequence[Cell]]:
    """A line as several, of which the last column is at most `left` wide; words and paths stay whole."""
    import textwrap

    *first, last = line
    parts = (
        textwrap.wrap(clean(last.text), left, break_long_words=False, break_on_hyphens=False) if left >= _FEW else []
    )
    if len(parts) < 2:
        return [line]
    blank = [Cell("")] * len(first)
    return [[*(blank if row else first), Cell(part, last.colour)] for row, part in enumerate(parts)]


def _line(cells: Sequence[Cell], widths: Sequence[int], to_right: Sequence[bool]) -> str:
    parts: list[str] = []
    for cell, width, right in zip(cells, widths, to_right, strict=True):
        gap = " " * (width - _width(clean(cell.text)))
        parts.append(gap + paint(cell) if right else paint(cell) + gap)
    return "  ".join(parts).rstrip()


def _width(text: str) -> int:
    """How many terminal columns a text takes: wide characters take two, combining ones none."""
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text
    )
