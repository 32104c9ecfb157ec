"""What `status --watch` does: looks each second, and shows what it sees in one place."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, NamedTuple

import click

from stoker_client.cli.keyboard import LEAVE, listening
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
    """Show a frame each second until it is over, or `q` pressed; absences of the daemon are waited out once it began.

    `whole_screen`: it has the terminal to itself, and what was there comes back at the end.
    """
    frame = look()
    is_screen = sys.stdout.isatty() and not shared.json
    showing = _screen(whole=whole_screen) if is_screen else _log(shared)
    with listening(is_screen and sys.stdin.isatty()) as pause, showing as show:
        show(frame)
        while not frame.is_over and not pause(_EVERY_S):
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

    hint = click.style(f"({LEAVE} leaves)", fg="bright_black")
    with Live(auto_refresh=False, screen=whole, vertical_overflow="crop" if whole else "ellipsis") as live:
        yield lambda frame: live.update(Text.from_ansi(_with_hint(frame, hint)), refresh=True)


def _with_hint(frame: Frame, hint: str) -> str:
    """The text, and behind its first line, which is there however small the terminal is, how to leave."""
    if frame.is_over:
        return frame.text
    first, *rest = frame.text.split("\n")
    return "\n".join([f"{first}  {hint}", *rest])


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
