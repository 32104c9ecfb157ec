"""What `status --watch` does: looks each second, and shows what it sees in one place."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from time import sleep
from typing import Any, NamedTuple

import click

from stoker_client.cli.sentences import AWAY
from stoker_client.cli.verb import Shared
from stoker_client.errors import DaemonUnavailable

_EVERY_S = 1.0


class Frame(NamedTuple):
    """One look: its JSON, its text, and whether nothing will change any more."""

    shape: dict[str, Any]
    text: str
    is_over: bool = False


Show = Callable[[Frame], None]


def keep_showing(shared: Shared, look: Callable[[], Frame], *, whole_screen: bool = False) -> None:
    """Show a frame each second until it is over; once it has begun, absences of the daemon are waited out.

    `whole_screen`: it has the terminal to itself, and what was there comes back at the end.
    """
    frame = look()
    with _screen(whole=whole_screen) if sys.stdout.isatty() and not shared.json else _log(shared) as show:
        show(frame)
        while not frame.is_over:
            sleep(_EVERY_S)
            try:
                frame = look()
            except DaemonUnavailable:
                show(Frame({"link": "away"}, f"{click.style(AWAY, fg='yellow')}\n\n{frame.text}"))
            else:
                show(frame)


@contextmanager
def _screen(*, whole: bool) -> Generator[Show]:
    """The frames replace each other."""
    from rich.live import Live
    from rich.text import Text

    with Live(auto_refresh=False, screen=whole, vertical_overflow="crop" if whole else "ellipsis") as live:
        yield lambda frame: live.update(Text.from_ansi(frame.text), refresh=True)


@contextmanager
def _log(shared: Shared) -> Generator[Show]:
    """The frames follow each other, those left out that say nothing new."""
    last: dict[str, Any] = {}

    def show(frame: Frame) -> None:
        nonlocal last
        if frame.shape != last:
            last = frame.shape
            shared.answer(frame.shape, frame.text + "\n")

    yield show
