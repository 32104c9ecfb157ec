"""How errors are told: to people with the next step, to scripts as JSON, to the shell by the exit code."""

from collections.abc import Sequence
from typing import get_args

import click

from stoker_client.cli.render import clean, wants_colour
from stoker_client.cli.shapes import error_shape, print_json
from stoker_client.errors import StokerError

UNAVAILABLE_EXIT = 5
INTERRUPTED_EXIT = 130


class Interrupted(Exception):
    """Ctrl+C while jobs were followed, which does nothing to them."""

    def __init__(self, job_ids: Sequence[str]) -> None:
        super().__init__("The job goes on without you." if len(job_ids) == 1 else "All jobs go on without you.")
        names = " ".join(job_ids)
        self.hint = f"come back: stoker watch {names}" + (f"    end it: stoker cancel {names}" if names else "")


Failure = StokerError | Interrupted | click.Abort | click.ClickException
FAILURES = get_args(Failure)
"""What a command may end with; anything else is a bug and shows where it is."""


def tell_failure(failure: Failure, *, as_json: bool) -> int:
    """Tell what went wrong on the standard error stream and return the exit code."""
    match failure:
        case StokerError():
            _tell(failure.code, failure.message, failure.field, failure.hint, as_json)
            return failure.exit_code
        case Interrupted():
            _tell("interrupted", str(failure), "", failure.hint, as_json)
            return INTERRUPTED_EXIT
        case click.Abort():
            _tell("interrupted", "Interrupted.", "", "", as_json)
            return INTERRUPTED_EXIT
        case click.ClickException() if as_json:
            _tell("usage", failure.format_message(), _option_of(failure), _help_of(failure), as_json)
        case click.ClickException():
            failure.show()
    return failure.exit_code


def _tell(code: str, message: str, field: str, hint: str, as_json: bool) -> None:
    if as_json:
        print_json(error_shape(code, message, field, hint), err=True)
        return
    mark = "" if code == "interrupted" else click.style("Error: ", fg="red")
    click.echo(mark + clean(message), err=True, color=wants_colour())
    if hint:
        click.echo(f"  {clean(hint)}", err=True)


def _option_of(error: click.ClickException) -> str:
    """Which option or argument a usage error is about."""
    parameter = error.param if isinstance(error, click.BadParameter) else None
    return max(parameter.opts, key=len) if parameter else getattr(error, "option_name", "")


def _help_of(error: click.ClickException) -> str:
    context = error.ctx if isinstance(error, click.UsageError) else None
    return f"{context.command_path} --help" if context else "stoker --help"
