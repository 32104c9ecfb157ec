"""`stoker items`: the items of a job, with their outcomes and files."""

import click

from stoker_client.cli.complete import jobs
from stoker_client.cli.render import Cell, clip, coloured, table
from stoker_client.cli.shapes import item_shape
from stoker_client.cli.verb import Shared, verb
from stoker_protocol import codec
from stoker_protocol.jobs import Item, ItemState

_WIDTH = 48
"""Characters for the parameters of an item; `--json` has all of them."""


@verb("stoker items JOB", "stoker items JOB --state failed", "stoker items JOB --parameters", "stoker items JOB --json")
@click.argument("job_id", metavar="JOB", shell_complete=jobs)
@click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice([str(s) for s in ItemState]),
    help="Only items in this state; repeatable.",
)
@click.option("--parameters", is_flag=True, help="With what each was made from, as far as it differs from the job's.")
def items(shared: Shared, job_id: str, states: tuple[str, ...], parameters: bool) -> None:
    """List the items of JOB with their outcomes and files."""
    with shared.client() as client:
        job_id = client.find(job_id).job_id
        found = list(client.items(job_id, [ItemState(state) for state in states], with_params=parameters))
    headers = ("item>", "state", "tries>", *(["parameters"] if parameters else []), "file or reason")
    text = table(headers, [_row(item, parameters) for item in found])
    shared.answer({"items": [item_shape(item) for item in found]}, text if found else "There are no such items.")


def _row(item: Item, parameters: bool) -> list[str | Cell]:
    name = f"{item.index} {item.custom_id}" if item.custom_id else str(item.index)
    files = ", ".join(artifact.path for artifact in item.artifacts)
    reason = f"{item.error.kind}: {item.error.message}" if item.error else ""
    said = [clip(_said(item), _WIDTH)] if parameters else []
    return [name, coloured(item.state), str(item.attempts), *said, reason or files]


def _said(item: Item) -> str:
    """`prompt=a red dragon, seed=7`."""
    return ", ".join(f"{name}={value}" for name, value in codec.unpack_map(item.params).items())
