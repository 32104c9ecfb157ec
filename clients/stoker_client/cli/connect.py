"""`stoker connect`: keep the key to a daemon, so that every command finds it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from stoker_client.cli.verb import Shared, verb

if TYPE_CHECKING:
    from stoker_protocol.keys import ClientKey


@verb(
    "stoker connect alice.key     # the file that you were given; from then on all commands use it",
    "stoker connect alice.key --endpoint tcp://gpu-box:5577",
    "stoker connect --make ann.key   # or make your own; then who runs the daemon lets its public key in, and",
    "stoker connect ann.key --endpoint tcp://gpu-box:5577 --server KEY",
    "stoker connect --forget",
)
@click.argument("file", metavar="FILE", required=False, type=click.Path(path_type=Path, dir_okay=False))
@click.option("--make", is_flag=True, help="Make a key of your own in FILE; its secret never leaves this machine.")
@click.option("--server", metavar="KEY", help="The daemon's public key, for a FILE that you made.")
@click.option("--forget", is_flag=True, help="Keep no key any more.")
def connect(shared: Shared, file: Path | None, make: bool, server: str | None, forget: bool) -> None:
    """Keep the key to a daemon elsewhere, so that commands find it.

    It is tried first, and then used by all commands and programs that name no other daemon. Whoever runs
    the daemon makes the file with `stokerd keys add NAME`.
    """
    if (file is None) != forget or (make and server):
        raise click.UsageError("Name the key file, with --make or --server KEY if it is your own, or --forget.")
    if file is None:
        _forget(shared)
    elif make:
        _make(shared, file)
    else:
        _keep(shared, file, server)


def _make(shared: Shared, file: Path) -> None:
    from stoker_client.keys import make_pair

    try:
        pair = make_pair(file)
    except OSError as error:
        raise click.UsageError(f"{file} can't be written: {(error.strerror or str(error)).lower()}") from None
    text = (
        f"Your public key: {pair.public_key}\n"
        f"It is no secret. Whoever runs the daemon lets it in: stokerd keys add NAME --public '{pair.public_key}'\n"
        "and tells you in return what to say to `stoker connect`."
    )
    shared.answer({"file": str(file), "public_key": pair.public_key}, text)


def _keep(shared: Shared, file: Path, server: str | None) -> None:
    from msgspec.structs import replace

    from stoker_client.keys import keep, read_key, target
    from stoker_client.sync_client import Client

    key = _own(file, server) if server else read_key(file)
    endpoint = target(shared.endpoint, key).endpoint
    with Client(endpoint, key=key, timeout_s=shared.timeout_s) as client:
        welcome = client.hello()
    path = keep(replace(key, endpoint=endpoint, name=welcome.name))
    shape = {"endpoint": endpoint, "name": welcome.name, "role": welcome.role, "kept": str(path)}
    shared.answer(shape, f"You are {welcome.name} at {endpoint}, with the role {welcome.role}. Kept in {path}")


def _own(file: Path, server: str) -> ClientKey:
    """A key that was made with --make, and what the host said."""
    from stoker_client.keys import read_pair
    from stoker_protocol.keys import ClientKey, is_key

    if not is_key(server):
        raise click.BadParameter(f"{server!r} is not a key of 40 characters", param_hint="--server")
    pair = read_pair(file)
    return ClientKey(name="", server_key=server, public_key=pair.public_key, secret_key=pair.secret_key)


def _forget(shared: Shared) -> None:
    from stoker_client.keys import kept_key_file

    path = kept_key_file()
    was_there = path.exists()
    path.unlink(missing_ok=True)
    shared.answer({"forgotten": was_there}, f"{path} is removed." if was_there else "No key was kept.")
