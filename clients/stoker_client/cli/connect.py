"""`stoker connect`: keep the key to a daemon, so that every command finds it."""

from pathlib import Path

import click

from stoker_client.cli.verb import Shared, verb


@verb(
    "stoker connect alice.key     # the file that you were given; from then on all commands use it",
    "stoker connect alice.key --endpoint tcp://gpu-box:5577",
    "stoker connect --forget",
)
@click.argument("file", metavar="FILE", required=False, type=click.Path(path_type=Path, dir_okay=False))
@click.option("--forget", is_flag=True, help="Keep no key any more.")
def connect(shared: Shared, file: Path | None, forget: bool) -> None:
    """Keep the key to a daemon elsewhere, so that commands find it.

    It is tried first, and then used by all commands and programs that name no other daemon. Whoever runs
    the daemon makes the file with `stokerd keys add NAME`.
    """
    if (file is None) != forget:
        raise click.UsageError("Name the key file, or --forget.")
    if file is None:
        _forget(shared)
    else:
        _keep(shared, file)


def _keep(shared: Shared, file: Path) -> None:
    from msgspec.structs import replace

    from stoker_client.keys import keep, read_key, target
    from stoker_client.sync_client import Client

    key = read_key(file)
    endpoint = target(shared.endpoint, key).endpoint
    with Client(endpoint, key=key, timeout_s=shared.timeout_s) as client:
        welcome = client.hello()
    path = keep(replace(key, endpoint=endpoint))
    shape = {"endpoint": endpoint, "name": welcome.name, "role": welcome.role, "kept": str(path)}
    shared.answer(shape, f"You are {welcome.name} at {endpoint}, with the role {welcome.role}. Kept in {path}")


def _forget(shared: Shared) -> None:
    from stoker_client.keys import kept_key_file

    path = kept_key_file()
    was_there = path.exists()
    path.unlink(missing_ok=True)
    shared.answer({"forgotten": was_there}, f"{path} is removed." if was_there else "No key was kept.")
