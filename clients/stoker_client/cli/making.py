"""What something is made by and from: the options for recipe, workflow and profile, and the files that go with them."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

import click

from stoker_client.cli import complete
from stoker_client.cli.render import size
from stoker_client.errors import BadRequest, TooLarge

if TYPE_CHECKING:
    from stoker_client.sync_client import Client

F = TypeVar("F", bound=Callable[..., Any])

AT_SERVER = "server:"
"""What the name of a file begins with that the engine's server has already."""
AT_DAEMON = "blob:"
"""What the name of a file begins with that was uploaded already."""
_PICTURES = (b"\x89PNG", b"\xff\xd8\xff", b"RIFF", b"GIF8", b"BM", b"II*\0", b"MM\0*")
"""How files of pictures begin."""
_WORTH_TELLING = 4 << 20
"""Bytes that may take a while to send."""


class Workflow(NamedTuple):
    """A graph of the user's own, and the file that it is from."""

    file: str
    graph: dict[str, Any]


def made_by(function: F) -> F:
    """The options that say what a job is made by."""
    for option in (
        click.option(
            "--profile",
            default="",
            metavar="NAME",
            shell_complete=complete.profiles,
            help="Defaults for what is not said here.",
        ),
        click.option(
            "--workflow",
            type=workflow,
            metavar="FILE",
            shell_complete=complete.files,
            help="A ComfyUI workflow of your own, exported with Export (API).",
        ),
        click.option(
            "--recipe",
            default="",
            metavar="NAME",
            shell_complete=complete.recipes,
            help="The way to make it.  [default: the engine's]",
        ),
    ):
        function = option(function)
    return function


def workflow(file: str) -> Workflow:
    """A file with a workflow in JSON; whether its nodes are right the daemon says."""
    import json  # reads what Windows writes too: marks of the byte order, and UTF-16

    try:
        graph = json.loads(Path(file).read_bytes())
    except OSError as error:
        raise click.BadParameter(f"can't read {file}: {(error.strerror or str(error)).lower()}") from None
    except (ValueError, RecursionError) as error:
        raise click.BadParameter(f"{file} is no JSON: {error}") from None
    if not isinstance(graph, dict):
        raise click.BadParameter(f"{file} is no workflow: it must be a map of nodes")
    return Workflow(file, cast("dict[str, Any]", graph))


@contextmanager
def naming(given: Workflow | None) -> Generator[None]:
    """Let a refusal of the workflow name the file that it is from."""
    try:
        yield
    except (BadRequest, TooLarge) as error:
        if given is not None and error.field.partition(".")[0] == "workflow":
            error.message = f"{given.file}: {error.message.removeprefix('workflow: ')}"
        raise


def input_file(name: str) -> str:
    """A picture of this machine, or one that is elsewhere already: `server:NAME` or `blob:SHA256`."""
    if name.startswith((AT_SERVER, AT_DAEMON)):
        return name
    if not Path(name).is_file():
        raise click.BadParameter(f"there is no file {name}; one that the server has is {AT_SERVER}NAME")
    with Path(name).open("rb") as file:
        begin = file.read(8)
    if not begin.startswith(_PICTURES) and begin[4:] != b"ftyp":
        raise click.BadParameter(f"{name} is no picture: no PNG, JPEG, WebP, GIF, BMP, TIFF or AVIF")
    return name


def value_of_file(client: Client, name: str, *, silent: bool) -> str:
    """What a parameter says that means a file; a file of this machine is sent to the daemon."""
    if name.startswith(AT_DAEMON):
        return name
    return name[len(AT_SERVER) :] if name.startswith(AT_SERVER) else send(client, name, silent=silent)


def send(client: Client, file: str, *, silent: bool) -> str:
    """Send a file to the daemon, on a terminal with a word on how far it is; the value that means it."""

    def tell(there: int, total: int) -> None:
        click.echo(f"\r{Path(file).name}: {size(there)} of {size(total)}" + "\n" * (there == total), nl=False, err=True)

    is_shown = not silent and sys.stderr.isatty() and Path(file).stat().st_size > _WORTH_TELLING
    try:
        return client.upload(file, told=tell if is_shown else None)
    except OSError as error:
        raise click.UsageError(f"Can't read {file}: {error.strerror}.") from None


def lora(text: str) -> tuple[str, float | None]:
    """`NAME` or `NAME:STRENGTH`; a name may have colons of its own."""
    match = re.fullmatch(r"(.+):([+-]?(?:\d+\.?\d*|\.\d+))", text)
    return (match[1], float(match[2])) if match else (text, None)
