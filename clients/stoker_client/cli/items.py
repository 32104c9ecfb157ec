"""`stoker items`: the items of a job, with their outcomes and files."""

import click

from stoker_client.cli.complete import jobs
from stoker_client.cli.render import Cell, coloured, table
from stoker_client.cli.shapes import item_shape
from stoker_client.cli.verb import Shared, verb
from stoker_protocol.jobs import Item, ItemState


@verb("stoker items JOB", "stoker items JOB --state failed", "stoker items JOB --json")
@click.argument("job_id", metavar="JOB", shell_complete=jobs)
@click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice([str(s) for s in ItemState]),
    help="Only items in this state; repeatable.",
)
def items(shared: Shared, job_id: str, states: tuple[str, ...]) -> None:
    """List the items of JOB with their outcomes and files."""
    with shared.client() as client:
        job_id = client.find(job_id).job_id
        found = list(client.items(job_id, [ItemState(state) for state in states]))
    text = table(("item>", "state", "tries>", "file or reason"), [_row(item) for item in found])
    shared.answer({"items": [item_shape(item) for item in found]}, text if found else "There are no such items.")


def _row(item: Item) -> list[str | Cell]:
    name = f"{item.index} {item.custom_id}" if item.custom_id else str(item.index)
    files = ", ".join(artifact.path for artifact in item.artifacts)
    reason = f"{item.error.kind}: {item.error.message}" if item.error else ""
    return [name, coloured(item.state), str(item.attempts), reason or files]
