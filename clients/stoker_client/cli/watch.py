"""`stoker watch`: what happens, as it happens."""

import click

from stoker_client.cli import complete
from stoker_client.cli.follow import end_with, follow
from stoker_client.cli.verb import Shared, verb


@verb(
    "stoker watch               # everything, until Ctrl+C",
    "stoker watch JOB           # one job, until it ends; exits with 1 unless it succeeds",
    "stoker watch --json | jq .type",
)
@click.argument("job_ids", metavar="[JOB]...", nargs=-1, shell_complete=complete.jobs)
def watch(shared: Shared, job_ids: tuple[str, ...]) -> None:
    """Tell what happens to each JOB, or to all, as it happens.

    With JOB it ends when the jobs have ended, without it goes on until Ctrl+C.

    It survives restarts of the daemon, and misses nothing that happened meanwhile.
    """
    with shared.client() as client:
        named = [client.find(said).job_id for said in job_ids]
        jobs = follow(shared, client, named, events=True)
    end_with(shared, jobs)
