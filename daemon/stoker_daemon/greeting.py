"""What a daemon says when it is ready: to a person what to do now, to a program where it is, to the log all of it."""

import sys
from collections.abc import Sequence
from pathlib import Path

import click
import structlog

DEFAULT_CONTROL = "tcp://127.0.0.1:5577"
DEFAULT_EVENTS = "tcp://127.0.0.1:5578"

logger = structlog.get_logger()


def say_ready(control: Sequence[str], events: Sequence[str], as_json: str, *, data_dir: Path, boot: str) -> None:
    """Greet whoever is at the terminal; where nobody is, print the first endpoints `as_json`, a line for a program."""
    if sys.stdout.isatty():
        click.echo(_greeting(control[0], events[0], data_dir))
        return
    sys.stdout.write(as_json + "\n")
    sys.stdout.flush()
    logger.info("ready", data_dir=str(data_dir), boot=boot, control=control, events=events)


def _greeting(control: str, events: str, data_dir: Path) -> str:
    near = control.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:")
    where = "" if near == DEFAULT_CONTROL else f" --endpoint {near}"
    return (
        f"stokerd is ready at {control}, with events at {events}.\n"
        f"The queue and all that is made are in {data_dir.absolute()}\n"
        f'Try, in another terminal: stoker generate "a red dragon" --wait{where}\n'
        "Ctrl+C stops it; what it has accepted is safe.\n"
    )
