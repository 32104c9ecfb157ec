"""`stoker resume`: let paused work go on."""

import click

from stoker_client.cli.complete import jobs
from stoker_client.cli.verb import Shared, verb


@verb("stoker resume          # all work", "stoker resume JOB      # one job")
@click.argument("job_id", metavar="[JOB]", required=False, shell_complete=jobs)
def resume(shared: Shared, job_id: str | None) -> None:
    """Let paused work go on: all of it, or one JOB."""
    with shared.client() as client:
        job_id = client.find(job_id).job_id if job_id else None
        reply = client.resume(job_id)
    what = f"Job {job_id}" if job_id else "The queue"
    shared.answer(
        {"job_id": job_id, "was_paused": reply.was_paused},
        f"{what} goes on." if reply.was_paused else f"{what} was not paused.",
    )
