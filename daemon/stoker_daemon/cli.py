"""The command `stokerd`: its options, and the exit code of each way to fail."""

import os
import sys
from pathlib import Path
from typing import NoReturn

import click

from stoker_daemon import log
from stoker_daemon.admin import commands
from stoker_daemon.greeting import DEFAULT_CONTROL, DEFAULT_EVENTS
from stoker_daemon.main import (
    CannotStart,
    Options,
    config_reference,
    config_template,
    describe_config,
    run,
)


def default_data_dir() -> Path:
    """Where systemd says, else in the user's state directory."""
    state = os.environ.get("STATE_DIRECTORY")
    home = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) if state else Path(home) / "stoker"


DATA_DIR_HELP = "Queue and outputs [default: ~/.local/state/stoker, or where systemd says]."
SETTINGS = {"max_content_width": 100, "help_option_names": ["-h", "--help"]}
EXAMPLES = """\b
Examples:
  stokerd
  stokerd --comfyui http://127.0.0.1:8188
  stokerd --data-dir /srv/stoker --config /etc/stoker.toml
  stokerd --data-dir /tmp/try --control tcp://127.0.0.1:0 --events tcp://127.0.0.1:0
  stokerd config --template > stokerd.toml
  stokerd --control tcp://0.0.0.0:5577 --events tcp://0.0.0.0:5578  # after: stokerd keys init
  stokerd keys add alice --role submit
  stokerd backup queue-today.sqlite3

\b
Exit codes: 0 stopped as told, 1 a fault of its own, 2 usage or configuration,
4 the data directory can't be used, 5 an endpoint can't be bound.
"""


@click.group(invoke_without_command=True, epilog=EXAMPLES, context_settings=SETTINGS)
@click.option("--data-dir", type=click.Path(path_type=Path, file_okay=False), help=DATA_DIR_HELP)
@click.option("--control", multiple=True, metavar="ENDPOINT", help=f"Control socket [default: {DEFAULT_CONTROL}].")
@click.option("--events", multiple=True, metavar="ENDPOINT", help=f"Events socket [default: {DEFAULT_EVENTS}].")
@click.option("--config", type=click.Path(path_type=Path, dir_okay=False), help="TOML file [default: none].")
@click.option("--comfyui", metavar="URL", help="A ComfyUI server, for jobs that name no engine: http://HOST:8188.")
@click.option("--insecure", is_flag=True, help="Bind addresses beyond loopback without keys: anyone may do anything.")
@click.option("--log-level", default="info", type=click.Choice(log.LEVELS))
@click.version_option(package_name="stoker")
@click.pass_context
def stokerd(
    context: click.Context,
    data_dir: Path | None,
    control: tuple[str, ...],
    events: tuple[str, ...],
    config: Path | None,
    comfyui: str | None,
    insecure: bool,
    log_level: str,
) -> None:
    """Keep one GPU fed: own the durable queue and run its work, reachable over ZeroMQ.

    Without a command this is the daemon itself.
    """
    log.configure(log_level)
    data_dir = context.obj = (data_dir or default_data_dir()).absolute()  # what is told of it is read elsewhere
    if context.invoked_subcommand is not None:
        return
    config = None if config is None else config.absolute()
    options = Options(data_dir, control or (DEFAULT_CONTROL,), events or (DEFAULT_EVENTS,), insecure, config, comfyui)
    try:
        run(options)
    except CannotStart as error:
        _fail(error)


@stokerd.command("config")
@click.option("--template", is_flag=True, help="Print a file to begin with: every key, commented out.")
@click.option("--reference", is_flag=True, help="Print what a file may say as a page of Markdown.")
@click.pass_context
def show_config(context: click.Context, template: bool, reference: bool) -> None:
    """Check the configuration and show what it comes to, as JSON.

    \b
    Examples:
      stokerd --config /etc/stoker/stokerd.toml config
      stokerd config --template > stokerd.toml
    """
    assert context.parent is not None  # a command of the group
    if template or reference:
        click.echo(config_template() if template else config_reference(), nl=False)
        return
    try:
        click.echo(describe_config(context.parent.params["config"], context.parent.params["comfyui"]))
    except CannotStart as error:
        _fail(error)


def _fail(error: CannotStart) -> NoReturn:
    sys.stderr.write(f"stokerd: {error}\n")
    sys.exit(error.exit_code)


for command in (commands.backup, commands.restore, commands.check, commands.keys, commands.trace, commands.nodes):
    stokerd.add_command(command)
