"""`stoker status`: how the daemon, its queue and its jobs are, once or until somebody leaves."""

from __future__ import annotations

from functools import partial
from itertools import islice
from time import time
from typing import TYPE_CHECKING

import click

from stoker_client.cli import complete
from stoker_client.cli.board import Frame, keep_showing
from stoker_client.cli.portraits import portrait_of_job, portrait_of_queue
from stoker_client.cli.render import down, troubles
from stoker_client.cli.shapes import job_shape, status_shape
from stoker_client.cli.verb import Shared, verb
from stoker_client.errors import UnknownOp
from stoker_protocol.jobs import FINAL_JOB_STATES

if TYPE_CHECKING:
    from stoker_client.sync_client import Client
    from stoker_protocol.replies import Plan

_LATELY = 5


@verb(
    "stoker status               # what runs and waits",
    "stoker status JOB           # one job in full",
    "stoker status --all --json  # every job, for a script",
    "stoker status --watch       # stays, and keeps itself up to date",
)
@click.argument("job_id", metavar="[JOB]", required=False, shell_complete=complete.jobs)
@click.option("--all", "everything", is_flag=True, help="All finished jobs too.")
@click.option("--watch", is_flag=True, help="Stay and show what changes: JOB until it ends, else until `q`.")
def status(shared: Shared, job_id: str | None, everything: bool, watch: bool) -> None:
    """Show the queue and its jobs, or one JOB in full.

    Without JOB: what runs and waits, and the jobs that finished last.
    """
    with shared.client() as client:
        look = (
            partial(_one, client, client.find(job_id).job_id, not shared.json)
            if job_id
            else partial(_queue, client, everything, 0 if everything or shared.json else _LATELY)
        )
        if watch:
            keep_showing(shared, look)
        else:
            frame = look()
            shared.answer(frame.shape, frame.text)


def _one(client: Client, job_id: str, is_read: bool) -> Frame:
    job = client.job(job_id)
    ahead = _ahead(client) if is_read and job.items.pending else None
    return Frame(job_shape(job), portrait_of_job(job, time(), ahead), is_over=job.state.is_final)


def _queue(client: Client, everything: bool, lately: int) -> Frame:
    page = client.snapshot(include_final=everything)
    last = islice(client.jobs(sorted(FINAL_JOB_STATES)), lately)
    heading = "All jobs, the newest last:" if everything else ""
    report = client.health()
    in_the_way = troubles(report, {job.engine for job in page.jobs if not job.state.is_final})
    ahead = _ahead(client) if page.queue.pending and not page.queue.paused else None
    away = down(report)
    text = portrait_of_queue(page, list(last), time(), heading=heading, ahead=ahead, away=away)
    return Frame(status_shape(page, ahead), "\n".join([*in_the_way, text]))


def _ahead(client: Client) -> Plan | None:
    """What is to come; an older daemon can't say."""
    try:
        return client.plan()
    except UnknownOp:
        return None
