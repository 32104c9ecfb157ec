"""`stoker move`: let a job that waits come earlier or later."""

import click

from stoker_client.cli.complete import jobs
from stoker_client.cli.verb import Shared, verb
from stoker_protocol.jobs import Priority


@verb("stoker move JOB --priority high", "stoker move JOB --front  # before all others of its priority")
@click.argument("job_id", metavar="JOB", shell_complete=jobs)
@click.option("--priority", type=click.Choice([str(p) for p in Priority]), help="The new priority.")
@click.option("--front", is_flag=True, help="The first place in its priority.")
def move(shared: Shared, job_id: str, priority: str | None, front: bool) -> None:
    """Give JOB another priority, or the first place in its own.

    Runs at work go on.
    """
    if priority is None and not front:
        raise click.UsageError("Say where to: --priority PRIORITY, --front or both.")
    with shared.client() as client:
        reply = client.move(client.find(job_id).job_id, priority, front=front)
    text = f"Job {reply.job_id} has priority {reply.priority}" + (", and is the first in it." if front else ".")
    shared.answer({"job_id": reply.job_id, "priority": reply.priority, "rev": reply.rev}, text)
