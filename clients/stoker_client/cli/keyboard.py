"""The keyboard while a screen is shown: a pause that ends as soon as somebody wants to leave."""

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from time import monotonic, sleep

LEAVE = "q"
_LOOK_S = 0.1

Pause = Callable[[float], bool]
"""Waits so many seconds, or less: whether somebody pressed `q` meanwhile."""


@contextmanager
def listening(at_terminal: bool) -> Generator[Pause]:
    """Take single keys from the terminal; what it was set to comes back at the end. Away from it nobody presses any."""
    if not at_terminal:
        yield _nobody
    elif sys.platform == "win32":
        yield _on_windows
    else:
        import termios
        import tty

        terminal = sys.stdin.fileno()
        before = termios.tcgetattr(terminal)
        try:
            tty.setcbreak(terminal)
            yield _on_posix
        finally:
            termios.tcsetattr(terminal, termios.TCSADRAIN, before)


def _nobody(seconds: float) -> bool:
    sleep(seconds)
    return False


def _on_posix(seconds: float) -> bool:
    import os
    import select

    until_s = monotonic() + seconds
    while (left_s := until_s - monotonic()) > 0:
        if not select.select([sys.stdin], [], [], left_s)[0]:
            return False
        pressed = os.read(sys.stdin.fileno(), 64).decode(errors="replace")
        if not pressed or LEAVE in pressed.lower():  # nothing: the terminal is gone
            return True
    return False


def _on_windows(seconds: float) -> bool:
    if sys.platform == "win32":
        import msvcrt

        until_s = monotonic() + seconds
        while monotonic() < until_s:
            while msvcrt.kbhit():
                if msvcrt.getwch().lower() == LEAVE:
                    return True
            sleep(_LOOK_S)
    return False
