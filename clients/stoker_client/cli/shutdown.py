"""`stoker shutdown`: stop the daemon in an orderly way."""

import click

from stoker_client.cli.verb import Shared, verb


@verb("stoker shutdown", 'stoker shutdown --reason "driver update"')
@click.option("--reason", default="", metavar="TEXT", help="Why; the daemon tells those who watch.")
def shutdown(shared: Shared, reason: str) -> None:
    """Stop the daemon in an orderly way.

    What it has not finished goes on when it is started again.
    """
    with shared.client() as client:
        reply = client.shutdown(reason)
    shared.answer(
        {"boot": reply.boot},
        "The daemon is stopping. Its jobs are safe on disk and go on when it is started again.",
    )
