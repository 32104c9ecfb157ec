"""The command `stoker`: one module per verb, each loaded when it is asked for."""

import gc
import sys
from collections.abc import Sequence
from importlib import import_module
from io import TextIOWrapper

import click

from stoker_client.cli.failure import FAILURES, tell_failure
from stoker_client.cli.render import wants_colour
from stoker_protocol.codec import nearest

VERBS = {
    "Make": ("generate", "submit", "rerun", "upload", "fetch", "demo"),
    "Look": ("status", "top", "why", "plan", "watch", "items", "outputs", "stats", "gpu"),
    "Choose": ("engines", "models", "recipes", "profiles"),
    "Steer": ("cancel", "retry", "move", "pause", "resume"),
    "The daemon": ("connect", "ping", "doctor", "selftest", "reload", "shutdown"),
    "Other clients": ("godot", "relay", "bridge", "conformance"),
    "This shell": ("completion",),
}

GREETING = """\
Stoker keeps one GPU fed: it takes your jobs, keeps them safe on disk and works them off.

  stoker demo                                 see it work in a minute, nothing to set up
  stoker generate "a red dragon" -n 4 --wait  make four pictures
  stoker status                               what runs, what waits, what is done

No daemon yet? Start one: stokerd
All commands: stoker --help"""

EPILOG = """\b
JOB is the id of a job, or the beginning of it, or the name that you gave the job.

\b
Exit codes:
  0    done
  1    a job that was waited for failed or was cancelled
  2    the command or a parameter is wrong
  3    there is no such job or file
  4    it conflicts with what is there, or the job's state forbids it
  5    the daemon or an engine can't be reached or is not ready
  6    you may not do this
  130  interrupted with Ctrl+C"""


SETTINGS = {"max_content_width": 110, "help_option_names": ["-h", "--help"]}


def main() -> None:
    """Run the command line of this process and exit with its code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # a console that lacks a character shall not end the command
    exit_code = run(sys.argv[1:])
    gc.freeze()  # at its end Python would look through all modules for garbage, which takes 10 ms
    sys.exit(exit_code)


def run(args: Sequence[str]) -> int:
    """Run one command line and return its exit code; errors are told on the standard error stream."""
    try:
        return stoker.main(list(args), "stoker", standalone_mode=False, color=wants_colour()) or 0
    except FAILURES as error:
        return tell_failure(error, as_json="--json" in args)


class _Verbs(click.Group):
    """Finds verbs by their module and lists them in sections."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click passes it
        return [name for names in VERBS.values() for name in names]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        return getattr(import_module(f"stoker_client.cli.{cmd_name}"), cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if self.get_command(ctx, args[0]) is None:
            near = nearest(args[0], self.list_commands(ctx))
            ctx.fail(f"There is no command {args[0]!r}." + (f" Did you mean {near[0]}?" if near else ""))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for section, names in VERBS.items():
            with formatter.section(section):
                formatter.write_dl([(name, self._summary(ctx, name)) for name in names], col_max=12)

    def _summary(self, ctx: click.Context, name: str) -> str:
        command = self.get_command(ctx, name)
        return command.get_short_help_str(limit=80) if command else ""


@click.group(cls=_Verbs, invoke_without_command=True, epilog=EPILOG, context_settings=SETTINGS)
@click.version_option(package_name="stoker", message="stoker %(version)s")
@click.pass_context
def stoker(ctx: click.Context) -> None:
    """Keep one GPU fed: submit jobs to the daemon, watch them, fetch what they made."""
    if ctx.invoked_subcommand is None:
        click.echo(GREETING)
