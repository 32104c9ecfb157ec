"""`stoker pause`: hold work back, now or after what is running."""

from collections.abc import Sequence

import click

from stoker_client.cli.complete import jobs
from stoker_client.cli.render import clean, pause_facts
from stoker_client.cli.shapes import pause_shape
from stoker_client.cli.verb import Shared, verb


@verb(
    'stoker pause --reason "I need the GPU"    # all work, after the runs at work',
    "stoker pause --interrupt                  # all work, at once",
    "stoker pause --release-gpu                # all work, and the models leave the GPU",
    "stoker pause JOB                          # one job, the others go on",
)
@click.argument("job_id", metavar="[JOB]", required=False, shell_complete=jobs)
@click.option("--reason", default="", metavar="TEXT", help="Why; shown to everyone who asks.")
@click.option("--interrupt", is_flag=True, help="Stop the runs at work too; their items are made again later.")
@click.option("--release-gpu", is_flag=True, help="Have the models leave the GPU once nothing runs any more.")
def pause(shared: Shared, job_id: str | None, reason: str, interrupt: bool, release_gpu: bool) -> None:
    """Hold all work back, or one JOB, until `stoker resume`.

    It lasts over restarts of the daemon.
    """
    with shared.client() as client:
        job_id = client.find(job_id).job_id if job_id else None
        reply = client.pause(job_id, reason=reason, interrupt=interrupt, release_gpu=release_gpu)
    held = reply.paused
    what, again = (f"Job {job_id}", f"stoker resume {job_id}") if job_id else ("All work", "stoker resume")
    shared.answer(
        {"job_id": job_id, "paused": pause_shape(held), "releasing": reply.releasing},
        f"{what} is held back {pause_facts(held)}.\n{_freed(reply.releasing)}Let it go on: {again}",
    )


def _freed(lanes: Sequence[str]) -> str:
    return (
        f"Models leave the GPU as soon as nothing runs there: lane {', '.join(map(clean, lanes))}.\n" if lanes else ""
    )
