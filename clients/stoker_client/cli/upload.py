"""`stoker upload`: bring input files to the daemon, for items that name them."""

import click

from stoker_client.cli.making import send
from stoker_client.cli.verb import Shared, verb


@verb(
    "stoker upload fox.png",
    'stoker generate "a fox" --workflow mine_api.json --set 12.image=$(stoker upload fox.png)',
    "stoker upload frames/*.png --json",
)
@click.argument("files", type=click.Path(exists=True, dir_okay=False), nargs=-1, required=True, metavar="FILE...")
def upload(shared: Shared, files: tuple[str, ...]) -> None:
    """Send input files to the daemon, for jobs that name them.

    Prints for each what a parameter says that means it. What the daemon has is not sent again; it keeps files for as
    long as jobs, counted from their last use.
    """
    with shared.client() as client:
        sent = {file: send(client, file, silent=shared.json) for file in files}
    shared.answer({"files": sent}, "\n".join(sent.values()))
