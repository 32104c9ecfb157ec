"""`stoker retry`: send items that did not succeed back to the queue."""

import click

from stoker_client.cli.complete import jobs
from stoker_client.cli.render import plural
from stoker_client.cli.verb import Shared, verb
from stoker_protocol.jobs import ItemState


@verb("stoker retry JOB                       # its failed items", "stoker retry JOB --failed --cancelled  # these too")
@click.argument("job_id", metavar="JOB", shell_complete=jobs)
@click.option("--failed", is_flag=True, help="Items that failed; meant where no other is named.")
@click.option("--rejected", is_flag=True, help="Items whose result a filter refused.")
@click.option("--cancelled", is_flag=True, help="Items that were cancelled.")
@click.option("--skipped", is_flag=True, help="Items that were skipped.")
def retry(shared: Shared, job_id: str, **chosen: bool) -> None:
    """Make those items of JOB again that did not succeed."""
    states = [ItemState(name) for name, wanted in chosen.items() if wanted] or [ItemState.FAILED]
    with shared.client() as client:
        job_id = client.find(job_id).job_id
        reply = client.retry(job_id, states)
    text = f"{plural(reply.requeued, 'item')} of job {job_id} went back to the queue.\nFollow it: stoker watch {job_id}"
    shared.answer({"job_id": reply.job_id, "requeued": reply.requeued, "rev": reply.rev}, text)
