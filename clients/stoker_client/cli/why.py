"""`stoker why`: why a job does not run yet, and when it does at the latest."""

import click

from stoker_client.cli.complete import jobs
from stoker_client.cli.render import clean, clock, duration, timestamp
from stoker_client.cli.verb import Shared, verb
from stoker_protocol.replies import Why


@verb("stoker why JOB", "stoker why JOB --json   # the reason as one word, for a script")
@click.argument("job_id", metavar="JOB", shell_complete=jobs)
def why(shared: Shared, job_id: str) -> None:
    """Say why JOB does not run yet, and when it starts at the latest."""
    with shared.client() as client:
        reply = client.why(client.find(job_id).job_id)
    latest = None if reply.latest_ms is None else timestamp(reply.latest_ms)
    shape = {"job_id": reply.job_id, "delay": reply.delay, "text": reply.text, "start_s": reply.start_s}
    shared.answer({**shape, "latest": latest}, _text(reply))


def _text(reply: Why) -> str:
    parts = [clean(reply.text)]
    if reply.start_s is not None:
        at = clock(reply.at_ms + round(1000 * reply.start_s.p50))
        parts.append(f"It starts in about {duration(reply.start_s.p50)}, at {at}.")
    if reply.latest_ms is not None:
        parts.append(f"Unless urgent work comes, it runs by {clock(reply.latest_ms)} at the latest.")
    return " ".join(parts)
