"""The commands of `stokerd` beside the daemon itself: backup, restore, check, keys, trace, nodes."""

import json
import socket
import sqlite3
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import ParamSpec

import click
import msgspec

from stoker_daemon.admin import keys as ring
from stoker_daemon.admin import nodes as pack
from stoker_daemon.admin.check import check as run_check
from stoker_daemon.admin.restore import restore as run_restore
from stoker_daemon.admin.trace import trace as write_trace
from stoker_daemon.sqlite.copying import Counts, copy_database
from stoker_daemon.sqlite.database import FILE_NAME, StoreError, explain
from stoker_daemon.zmq.keyring import KeyringError, read_clients, write_private
from stoker_protocol.keys import to_text
from stoker_protocol.requests import Role

UNUSABLE = 4
"""Exit code: the directory or the backup can't be used."""

ROLES = [role.name.lower() for role in Role if role > Role.ANY]

P = ParamSpec("P")


def _or_that_of_the_daemon(context: click.Context, _: click.Parameter, value: Path | None) -> Path:
    return value or context.obj


_data_dir = click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    callback=_or_that_of_the_daemon,
    help="Where queue and outputs are  [default: that of the daemon].",
)


def _told(command: Callable[P, None]) -> Callable[P, None]:
    """Tell what goes wrong in one line, with the exit code for it."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except (StoreError, KeyringError, OSError, sqlite3.Error) as error:
            click.echo(f"stokerd: {error}", err=True)
            sys.exit(UNUSABLE)

    return run


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@_data_dir
@_told
def backup(file: Path, data_dir: Path) -> None:
    """Copy the queue to FILE, also while the daemon works.

    The copy is checked before it gets its name, and only you may read it. Outputs are plain files and not in it.
    """
    database = data_dir / FILE_NAME
    try:
        counts = copy_database(database, file)
    except sqlite3.Error as error:
        culprit = file if error.sqlite_errorcode == sqlite3.SQLITE_FULL else database
        raise StoreError(f"no backup was made: {explain(culprit, error)}") from error
    click.echo(f"{file}: {_said(counts)}, {file.stat().st_size >> 10} KiB, checked")


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@_data_dir
@_told
def restore(file: Path, data_dir: Path) -> None:
    """Begin anew from a backup FILE.

    The queue as it is now is kept beside it. No daemon may run meanwhile. Jobs accepted since the backup are only in
    what is kept.
    """
    counts, aside = run_restore(file, data_dir, datetime.now(UTC))
    click.echo(f"{data_dir / FILE_NAME}: {_said(counts)} from {file}")
    if aside is not None:
        click.echo(f"The queue as it was: {aside}")


@click.command()
@click.option("--checksums", is_flag=True, help="Read every byte of every output too.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")
@_data_dir
@_told
def check(checksums: bool, as_json: bool, data_dir: Path) -> None:
    """Find out whether queue and outputs are sound.

    Also while the daemon works. Exits with 1 if they are not.

    \b
    Examples:
      stokerd check
      stokerd --data-dir /var/lib/stoker check --checksums
    """
    findings = run_check(data_dir, checksums=checksums)
    if as_json:
        click.echo(json.dumps({"findings": msgspec.to_builtins(findings)}, indent=2))
    for finding in [] if as_json else findings:
        click.echo(f"{'ok' if finding.ok else '!!'}  {finding.part:<12}{finding.detail}")
        if finding.advice:
            click.echo(f"    {'':<12}{finding.advice}")
    sys.exit(0 if all(finding.ok for finding in findings) else 1)


@click.group()
def keys() -> None:
    """The keys by which clients on other machines are let in.

    A daemon that has keys of its own takes changes up within a second.

    \b
    Examples:
      stokerd keys init                                                  # once; then restart the daemon
      stokerd keys add ann --role submit --endpoint tcp://gpu-box:5577   # makes ann.key, for: stoker connect ann.key
      stokerd keys revoke ann
    """


@keys.command()
@click.option("--replace", is_flag=True, help="Make a new pair: no key that was given out fits any more.")
@_data_dir
@_told
def init(replace: bool, data_dir: Path) -> None:
    """Make the daemon's own keys, by which its clients know it.

    What is there stays, unless --replace is given. A daemon at work has to be restarted.

    With them it may listen beyond this machine: stokerd --control tcp://0.0.0.0:5577 --events tcp://0.0.0.0:5578
    """
    made, is_new = ring.init(data_dir, replace=replace)
    click.echo(f"The daemon's public key{' (new; restart the daemon)' if is_new else ''}: {made.public}")


@keys.command()
@click.argument("name")
@click.option("--role", type=click.Choice(ROLES), default="submit", show_default=True, help="What NAME may do.")
@click.option(
    "--endpoint", metavar="URL", help="Where NAME reaches the daemon  [default: this host's name, port 5577]."
)
@click.option("--file", "out", type=click.Path(path_type=Path, dir_okay=False), help="Where to  [default: NAME.key].")
@click.option("--public", metavar="KEY", help="NAME's own public key, of `stoker connect --make`: no file is made.")
@_data_dir
@_told
def add(name: str, role: str, endpoint: str | None, out: Path | None, public: str | None, data_dir: Path) -> None:
    """Let NAME in: makes a key file to be given to them.

    There: stoker connect NAME.key
    """
    endpoint = endpoint or f"tcp://{socket.gethostname()}:5577"
    if public is not None:
        server = ring.let_in(data_dir, name, Role[role.upper()], public)
        click.echo(
            f"{name} may come in, with the role {role}, by a key of their own.\n"
            f"There: stoker connect THEIR_FILE --endpoint {endpoint} --server '{server.public}'"
        )
        return
    out = out or Path(f"{name}.key")
    if out.exists():
        raise FileExistsError(f"{out} exists; move it, or name another --file")
    key = ring.add(data_dir, name, Role[role.upper()], endpoint)
    write_private(out, to_text(key))
    click.echo(
        f"{name} may come in, with the role {role}, at {key.endpoint}\n"
        f"The key is in {out} and nowhere else. Send it by a way that nobody reads along, then remove it here.\n"
        f"There: stoker connect {out.name}"
    )


@keys.command(name="list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")
@_data_dir
@_told
def list_keys(as_json: bool, data_dir: Path) -> None:
    """Show who is let in."""
    clients, faults = read_clients(data_dir)
    rows = sorted((client.name, client.role.name.lower(), client.public) for client in clients.values())
    if as_json:
        keys_ = [{"name": name, "role": role, "public_key": public} for name, role, public in rows]
        click.echo(json.dumps({"keys": keys_, "faults": faults}, indent=2))
        return
    for row in rows:
        click.echo(f"{row[0]:<24}{row[1]:<8}{row[2]}")
    for fault in faults:
        click.echo(f"!! {fault}", err=True)
    if not rows:
        click.echo("Nobody has a key: stokerd keys add NAME")


@keys.command()
@click.argument("name")
@_data_dir
@_told
def revoke(name: str, data_dir: Path) -> None:
    """Let NAME in no more.

    Within a second its requests are refused and its connections to the events end.
    """
    ring.revoke(data_dir, name)
    click.echo(f"{name} is let in no more.")


@click.command()
@click.option("--lane", default="gpu", show_default=True, help="Whose work.")
@_data_dir
@_told
def trace(lane: str, data_dir: Path) -> None:
    """Write what came and what it took, as JSON lines.

    Also while a daemon works.

    A clone of the project tries other orders of work on it: python -m benchmarks.scheduling --trace FILE

    \b
    Examples:
      stokerd trace > week.jsonl
      stokerd trace --lane gpu1 > other.jsonl
    """
    for line in write_trace(data_dir, lane):
        click.echo(line)


@click.group()
def nodes() -> None:
    """The node pack by which a ComfyUI makes several items at once."""


@nodes.command()
@click.argument("path", type=click.Path(path_type=Path))
@_told
def install(path: Path) -> None:
    """Copy the node pack into the ComfyUI at PATH.

    PATH may also be its folder custom_nodes.

    Doing it again changes nothing, or brings the pack up to date.
    """
    installed = pack.install(path)
    if installed.changed:
        click.echo(f"{installed.path}: {len(installed.changed)} files are new; restart ComfyUI, so that it loads them")
    else:
        click.echo(f"{installed.path}: up to date")


def _said(counts: Counts) -> str:
    return ", ".join(f"{counts.get(table, 0)} {table}" for table in ("jobs", "items", "artifacts"))
