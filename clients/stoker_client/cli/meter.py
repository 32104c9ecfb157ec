"""How far a long submit is: a bar on a terminal, a line now and then elsewhere, both on the standard error stream."""

from __future__ import annotations

import sys
from time import monotonic
from typing import TYPE_CHECKING, BinaryIO

import click

if TYPE_CHECKING:
    from rich.progress import Progress

_BETWEEN_LINES_S = 10.0


class Meter:
    """Shows how many items were accepted, and where the file tells its length how much of it is read."""

    def __init__(self, file: BinaryIO, *, silent: bool) -> None:
        self._file = file if file.seekable() else None
        self._silent = silent
        self._bar: Progress | None = None
        self._last_s = monotonic()
        self._last_why = ""

    def __enter__(self) -> Meter:
        if not self._silent and sys.stderr.isatty():
            self._bar = _new_bar()
            self._bar.add_task("", total=self._length(), facts="")
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def show(self, total: int, why: str) -> None:
        """Take note of the items accepted so far, and of why nothing moves."""
        facts = f"{total:,} items accepted" + (f"; {why}" if why else "")
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=self._file.tell() if self._file else None, facts=facts)
        elif not self._silent and (monotonic() - self._last_s >= _BETWEEN_LINES_S or why != self._last_why):
            self._last_s = monotonic()
            click.echo(facts, err=True)
        self._last_why = why

    def _length(self) -> int | None:
        if self._file is None:
            return None
        here = self._file.tell()
        length = self._file.seek(0, 2)
        self._file.seek(here)
        return length


def _new_bar() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

    return Progress(
        SpinnerColumn(),
        BarColumn(24),
        TextColumn("{task.fields[facts]}", markup=False),
        console=Console(stderr=True),
        transient=True,
    )
