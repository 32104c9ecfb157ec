"""What all verbs share: how one is declared, the options that each takes, and the way to the daemon."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, cast

import click
from msgspec import Struct

if TYPE_CHECKING:
    from stoker_client.sync_client import Client


class Shared(Struct, frozen=True):
    """What the options that every verb takes were set to; those about the daemon only where one is asked."""

    json: bool
    endpoint: str | None = None
    key: str | None = None
    timeout_s: float = 5.0

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

    def __init__(self, *args: Any, examples: Sequence[str] = (), asks_daemon: bool = True, **kwargs: Any) -> None:
        super().__init__(*args, epilog="\b\nExamples:\n" + "\n".join(f"  {example}" for example in examples), **kwargs)
        self.params += [*(_daemon_options() if asks_daemon else []), _json_option()]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.allow_extra_args = True  # they are refused here, with the option that was meant
        extra = super().parse_args(ctx, args)
        if extra and not ctx.resilient_parsing:
            ctx.fail(f"Got an argument too many: {extra[0]!r}.{self._meant_by(extra[0])}")
        return extra

    def invoke(self, ctx: click.Context) -> Any:
        taken = {name: ctx.params.pop(name) for name in Shared.__struct_fields__ if name in ctx.params}
        ctx.obj = Shared(**taken)
        return super().invoke(ctx)

    def _meant_by(self, word: str) -> str:
        """The option that takes this word, if there is one."""
        for one in self.params:
            if isinstance(one.type, click.Choice) and word in cast("click.Choice[str]", one.type).choices:
                return f" Did you mean {max(one.opts, key=len)} {word}?"
        return ""


def verb(*examples: str, asks_daemon: bool = True) -> Callable[[Callable[..., None]], click.Command]:
    """Declare a verb: the function's name and docstring become its own, its first argument is a `Shared`.

    `asks_daemon`: it takes the options that say which daemon, and how long to wait for it.
    """
    return lambda function: click.command(cls=Verb, examples=examples, asks_daemon=asks_daemon)(
        click.pass_obj(function)
    )


def _json_option() -> click.Parameter:
    return click.Option(["--json"], is_flag=True, help="Print JSON for scripts.")


def _daemon_options() -> list[click.Parameter]:
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
        click.Option(
            ["--timeout", "timeout_s"],
            metavar="SECONDS",
            type=click.FloatRange(min=0, min_open=True),
            default=5.0,
            show_default=True,
            help="How long to wait for an answer of the daemon.",
        ),
    ]
