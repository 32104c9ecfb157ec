"""`stoker cancel`: end jobs that are no longer wanted."""

import sys

import click

from stoker_client.cli.complete import jobs
from stoker_client.cli.render import plural
from stoker_client.cli.verb import Shared, verb
from stoker_protocol.replies import CancelledJob


@verb(
    "stoker cancel JOB           # one job; repeat it as often as you like",
    "stoker cancel --all-queued  # what has not begun",
    "stoker cancel --all --yes   # everything, without a question",
)
@click.argument("job_ids", metavar="[JOB]...", nargs=-1, shell_complete=jobs)
@click.option("--all-queued", is_flag=True, help="All jobs that have not begun.")
@click.option("--all", "everything", is_flag=True, help="All jobs, running ones too.")
@click.option("--yes", is_flag=True, help="Don't ask before --all.")
def cancel(shared: Shared, job_ids: tuple[str, ...], all_queued: bool, everything: bool, yes: bool) -> None:
    """Cancel jobs; what they have made already is kept.

    Waiting items are dropped at once, running ones stopped.
    """
    if [bool(job_ids), all_queued, everything].count(True) != 1:
        raise click.UsageError("Say what to cancel: JOB..., --all-queued or --all.")
    if everything and not yes and not _is_agreed():
        click.echo("Nothing was cancelled.", err=True)
        return
    with shared.client() as client:
        named = [client.find(said).job_id for said in job_ids]
        reply = client.cancel(*named) if named else client.cancel_all("all" if everything else "queued")
    shared.answer({"jobs": reply.jobs}, "\n".join(map(_sentence, reply.jobs)) or "There was nothing to cancel.")


def _is_agreed() -> bool:
    if not sys.stdin.isatty():
        raise click.UsageError("This would cancel all jobs, running ones too. Say --yes to do so.")
    return click.confirm("Cancel all jobs, running ones too?", err=True)


def _sentence(job: CancelledJob) -> str:
    parts = [f"{plural(job.dropped, 'waiting item')} dropped"] if job.dropped else []
    parts += [f"{plural(job.stopping, 'running item')} stopping"] if job.stopping else []
    if job.closed and not parts:
        parts = [f"closed, it takes no more items and is {job.state}"]
    return f"Job {job.job_id}: {', '.join(parts) or f'nothing left to cancel, it is {job.state}'}."
