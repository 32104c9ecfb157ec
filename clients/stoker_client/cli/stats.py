"""`stoker stats`: how fast work goes, how long it waits, and how it ends."""

from typing import Any

import click

from stoker_client.cli.complete import jobs
from stoker_client.cli.rates import summary
from stoker_client.cli.render import timestamp
from stoker_client.cli.values import age
from stoker_client.cli.verb import Shared, verb
from stoker_protocol.replies import Stats


@verb(
    "stoker stats               # the last hour",
    "stoker stats --window 10m",
    "stoker stats JOB           # its whole life",
)
@click.argument("job_id", metavar="[JOB]", required=False, shell_complete=jobs)
@click.option("--window", "window_s", type=age, metavar="AGE", help="How far back: 90s, 10m, 2h, 3d.")
def stats(shared: Shared, job_id: str | None, window_s: float | None) -> None:
    """Tell how fast work goes, how long it waits, how it ends."""
    with shared.client() as client:
        job_id = client.find(job_id).job_id if job_id else None
        reply = client.stats(job_id, window_s=window_s)
    shared.answer(_shape(reply), summary(reply))


def _shape(reply: Stats) -> dict[str, Any]:
    times = {"since": timestamp(reply.since_ms), "until": timestamp(reply.until_ms)}
    left_out = ("v", "id", "since_ms", "until_ms")
    return times | {name: getattr(reply, name) for name in reply.__struct_fields__ if name not in left_out}
