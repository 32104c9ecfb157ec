"""What all verbs share: how one is declared, the options that each takes, and the way to the daemon."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from stoker_client.sync_client import Client


@dataclass(frozen=True, slots=True)
class Shared:
    """What the options that every verb takes were set to."""

    endpoint: str | None
    key: str | None
    json: bool
    timeout_s: float

    def client(self) -> Client:
        """A client for the daemon that was asked for."""
        from stoker_client.sync_client import Client  # help and completion shall not load ZeroMQ

        def say_so() -> None:
            if not self.json:
                click.echo(f"Waiting for {client.endpoint} (is stokerd running there?) ...", err=True)

        client = Client(self.endpoint, key=self.key, timeout_s=self.timeout_s, on_silence=say_so)
        return client

    def answer(self, shape: Any, text: str) -> None:
        """Print the answer: the shape for scripts, the text for people."""
        if self.json:
            from stoker_client.cli.shapes import print_json

            print_json(shape)
        else:
            click.echo(text)


class Verb(click.Command):
    """A command that takes the shared options, and whose help ends with examples."""

    def __init__(self, *args: Any, examples: Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__(*args, epilog="\b\nExamples:\n" + "\n".join(f"  {example}" for example in examples), **kwargs)
        self.params += _shared_options()

    def invoke(self, ctx: click.Context) -> Any:
        taken = {name: ctx.params.pop(name) for name in ("endpoint", "key", "json", "timeout_s")}
        ctx.obj = Shared(**taken)
        return super().invoke(ctx)


def verb(*examples: str) -> Callable[[Callable[..., None]], click.Command]:
    """Declare a verb: the function's name and docstring become its own, its first argument is a `Shared`."""
    return lambda function: click.command(cls=Verb, examples=examples)(click.pass_obj(function))


def _shared_options() -> list[click.Parameter]:
    return [
        click.Option(
            ["--endpoint"],
            metavar="URL",
            envvar="STOKER_ENDPOINT",
            show_envvar=True,
            help="The daemon's control socket.  [default: tcp://127.0.0.1:5577]",
        ),
        click.Option(
            ["--key"],
            metavar="FILE",
            envvar="STOKER_KEY",
            show_envvar=True,
            help="The key file for a daemon on another machine; `stoker connect FILE` keeps it for good.",
        ),
        click.Option(["--json"], is_flag=True, help="Print JSON for scripts."),
        click.Option(
            ["--timeout", "timeout_s"],
            metavar="SECONDS",
            type=click.FloatRange(min=0, min_open=True),
            default=5.0,
            show_default=True,
            help="How long to wait for an answer of the daemon.",
        ),
    ]
