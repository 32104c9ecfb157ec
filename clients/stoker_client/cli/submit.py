"""`stoker submit`: a job from a file of any length, an item a line, sent in pieces as the daemon takes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import click

from stoker_client.cli import complete
from stoker_client.cli.failure import Interrupted
from stoker_client.cli.feeding import Feed
from stoker_client.cli.follow import end_with, follow
from stoker_client.cli.lines import Lines
from stoker_client.cli.making import Workflow, made_by, naming
from stoker_client.cli.meter import Meter
from stoker_client.cli.render import plural
from stoker_client.cli.shapes import job_shape, print_json
from stoker_client.cli.values import LEVEL_HELP, LEVELS, at_once, batch_size, label, setting
from stoker_client.cli.verb import Shared, verb
from stoker_client.errors import Conflict, InvalidState, StokerError
from stoker_client.operations.verbs import SubmitOptions
from stoker_protocol.jobs import Priority

if TYPE_CHECKING:
    from stoker_client.sync_client import Client


@verb(
    "stoker submit items.jsonl --wait",
    "stoker submit items.jsonl --limit 10 --name trial       # ten of them; the job stays open",
    "stoker submit items.jsonl --continue trial --limit 50   # the next fifty",
    "stoker submit items.jsonl --continue trial --wait       # the rest",
    "make-prompts | stoker submit - --model neon --name overnight",
    "stoker submit prompts.jsonl --recipe txt2img --set steps=25",
    "stoker submit items.jsonl --recipe img2img              # lines with an image: stoker upload FILE names it",
)
@click.argument("file", type=click.File("rb"))
@click.option("--engine", shell_complete=complete.engines, help="Which engine.  [default: the daemon's]")
@click.option("--model", shell_complete=complete.models, help="Which model.  [default: the engine's]")
@made_by
@click.option(
    "--set",
    "settings",
    type=setting,
    metavar="NAME=VALUE",
    multiple=True,
    help="A parameter of all items; what a line says comes first.",
)
@click.option("--priority", type=click.Choice([str(p) for p in Priority]), help="[default: normal]")
@click.option("--name", metavar="TEXT", help="What you call the job.")
@click.option(
    "--meta", "labels", type=label, metavar="NAME=VALUE", multiple=True, help="A note of your own, kept with the job."
)
@click.option("--batch-size", type=batch_size, metavar="auto|N", help="Most items in one run.  [default: auto]")
@click.option(
    "--max-concurrency", type=at_once, metavar="all|N", help="Most items of the job at work at once.  [default: all]"
)
@click.option("--level", type=click.Choice(LEVELS), help=LEVEL_HELP)
@click.option("--job-id", metavar="ID", help="An id of your own: the same command again is the same job, not another.")
@click.option(
    "--limit", type=click.IntRange(1), metavar="N", help="Only the next N items; the job stays open for more."
)
@click.option(
    "--continue", "continued", metavar="JOB", shell_complete=complete.jobs, help="Add what JOB does not have yet."
)
@click.option("--dry-run", is_flag=True, help="Check everything, submit nothing.")
@click.option("--wait", is_flag=True, help="Stay until the job ends; Ctrl+C leaves it running.")
@click.option("--watch", is_flag=True, help="Stay, and tell every event.")
def submit(
    shared: Shared,
    file: BinaryIO,
    limit: int | None,
    continued: str | None,
    job_id: str | None,
    dry_run: bool,
    wait: bool,
    watch: bool,
    **opening: Any,
) -> None:
    """Submit a job from FILE (or `-`): an item a line, as JSON.

    A line is a map of parameters, perhaps with a custom_id; or "a prompt"; or {"params": {...}, "custom_id": "..."}.
    What was accepted is safe on the daemon's disk, and work on it begins while the rest is still read.
    """
    _check_usage(opening, continued, job_id, limit, stays=wait or watch)
    lines = Lines(file)
    with shared.client() as client:
        with Meter(file, silent=shared.json) as meter, naming(opening["workflow"]):
            feed = _feed(client, meter, _options(**opening), continued, job_id, dry_run)
            before = feed.total
            _send_all(feed, lines, limit, file.name)
        stays = (wait or watch) and not dry_run
        if watch or not stays or not shared.json:
            shared.answer(*_answer(feed, before, lines, file.name, dry_run=dry_run, stays=stays))
        if stays:
            jobs = follow(shared, client, [feed.job_id], events=watch)
            if shared.json and not watch:
                print_json(job_shape(jobs[0]))
            end_with(shared, jobs)


class Unfinished(Interrupted):
    """Ctrl+C while items were sent: what was accepted stays."""

    def __init__(self, feed: Feed, file: str) -> None:
        super().__init__([feed.job_id])
        self.args = (f"Job {feed.job_id} has {plural(feed.total, 'item')} and stays open for the others.",)
        self.hint = _how_to_go_on(feed, file)


def _check_usage(
    opening: dict[str, Any], continued: str | None, job_id: str | None, limit: int | None, *, stays: bool
) -> None:
    if limit and stays:
        raise click.UsageError(
            "--limit leaves the job open, and an open job does not end: leave --wait and --watch out."
        )
    given = [name for name, value in {**opening, "job_id": job_id}.items() if value not in (None, "", ())]
    if continued and given:
        option = {"labels": "meta", "settings": "set"}.get(given[0], given[0]).replace("_", "-")
        raise click.UsageError(f"--{option} is said when a job is begun; --continue adds to one that is there.")


def _options(
    labels: Sequence[tuple[str, str]], settings: Sequence[tuple[str, Any]], workflow: Workflow | None, **opening: Any
) -> SubmitOptions:
    graph = workflow.graph if workflow else None
    told = {"workflow": graph, "metadata": dict(labels) or None, "params": dict(settings) or None}
    return cast("SubmitOptions", {**opening, **told})  # click names them


def _feed(
    client: Client, meter: Meter, options: SubmitOptions, continued: str | None, job_id: str | None, dry_run: bool
) -> Feed:
    from stoker_client.shell import new_job_id  # loads ZeroMQ, which help can do without

    if continued is None:
        return Feed(client, job_id or new_job_id(), options, total=0, dry_run=dry_run, told=meter.show)
    job = client.find(continued)
    options = {"engine": job.engine, "model": job.model}
    return Feed(client, job.job_id, options, total=job.items.total, dry_run=dry_run, told=meter.show)


def _send_all(feed: Feed, lines: Lines, limit: int | None, file: str) -> None:
    """Send what there is to send, and seal the job where the file ends."""
    if lines.is_at_end:
        raise click.UsageError(f"There are no items in {file}.")
    try:
        if feed.total:
            feed.repeat(lines.skip(feed.total))
        for chunk in lines.chunks(limit):
            feed.send(chunk, stays_open=not chunk.is_last)
        if lines.is_at_end:
            feed.seal()
    except KeyboardInterrupt:
        if not feed.is_there():
            raise click.Abort from None
        raise Unfinished(feed, file) from None
    except StokerError as error:
        if feed.total:
            accepted = f"{plural(feed.total, 'item')} of job {feed.job_id} stay accepted"
            is_hopeless = isinstance(error, Conflict | InvalidState)  # the same again would end the same way
            next_step = "" if is_hopeless else _how_to_go_on(feed, file)
            error.hint = "; ".join(filter(None, [error.hint, accepted, next_step]))
        raise


def _how_to_go_on(feed: Feed, file: str) -> str:
    return f"go on: stoker submit {'-' if file == '<stdin>' else file} --continue {feed.job_id}"


def _answer(
    feed: Feed, before: int, lines: Lines, file: str, *, dry_run: bool, stays: bool
) -> tuple[dict[str, Any], str]:
    """What scripts and people are told at the end."""
    added, is_open = feed.total - before, not lines.is_at_end
    shape = {"job_id": feed.job_id, "items": feed.total, "added": added, "is_open": is_open, "dry_run": dry_run}
    if dry_run:
        return shape, f"Nothing was submitted. {plural(added, 'item')} would be accepted."
    text = f"Job {feed.job_id}: {plural(added, 'item')} accepted" + (f", {feed.total} in all." if before else ".")
    if is_open:
        text += (
            f"\nIt stays open. Look at what comes of it: stoker fetch {feed.job_id}\nThen {_how_to_go_on(feed, file)}"
        )
    elif not stays:
        text += f"\nFollow it: stoker watch {feed.job_id}"
    return shape, text
