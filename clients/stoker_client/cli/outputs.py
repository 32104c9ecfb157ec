"""`stoker outputs`: what jobs have on disk, what all of it amounts to, and how the oldest of it goes."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from itertools import islice
from typing import Any

import click

from stoker_client.cli import complete
from stoker_client.cli.render import Cell, clean, clip, coloured, plural, size, table, timestamp
from stoker_client.cli.shapes import artifact_shape
from stoker_client.cli.values import age
from stoker_client.cli.verb import Shared, verb
from stoker_protocol.jobs import Artifact
from stoker_protocol.replies import JobOutputs, OutputsCleaned, OutputsPage

EXAMPLES = """\b
Examples:
  stoker outputs list
  stoker outputs stats
  stoker outputs clean --older-than 30d --dry-run"""


@click.group(epilog=EXAMPLES)
def outputs() -> None:
    """See what jobs have on disk, and clean up."""


@verb(
    "stoker outputs list              # the newest jobs that have files", "stoker outputs list JOB          # its files"
)
@click.argument("job_id", metavar="[JOB]", required=False, shell_complete=complete.jobs)
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, metavar="N", help="At most N jobs.")
def listing(shared: Shared, job_id: str | None, limit: int) -> None:
    """List jobs with their folders, or the files of JOB.

    Folders begin at the daemon's data directory; open index.html there in a browser.
    """
    with shared.client() as client:
        job_id = client.find(job_id).job_id if job_id else None
        found = list(islice(client.outputs(job_id), limit + 1))
        artifacts = list(client.artifacts(job_id)) if job_id else []
    shown = found[:limit]
    if job_id:
        shape = {**(_shape(shown[0]) if shown else {"job_id": job_id}), "files": [artifact_shape(a) for a in artifacts]}
        shared.answer(shape, _files(job_id, shown, artifacts))
        return
    more = f"\nThere are more; --limit {limit * 5} shows them." if len(found) > limit else ""
    text = _table(shown) + more if shown else "No job has files."
    shared.answer({"jobs": [_shape(one) for one in shown], "more": len(found) > limit}, text)


@verb("stoker outputs stats", "stoker outputs stats --json | jq .disk.free")
def stats(shared: Shared) -> None:
    """Add up all files, and say how much room is left."""
    with shared.client() as client:
        page = client.output_totals()
    totals = page.totals or []
    shape = {
        "artifacts": sum(total.artifacts for total in totals),
        "bytes": sum(total.bytes for total in totals),
        "totals": totals,
        "disk": page.disk,
    }
    shared.answer(shape, _sums(page))


@verb(
    "stoker outputs clean --older-than 30d --dry-run  # what would go",
    "stoker outputs clean --older-than 8w --yes       # without a question",
)
@click.option(
    "--older-than", "age_s", type=age, required=True, metavar="AGE", help="Jobs that ended so long ago: 30d, 12h, 8w."
)
@click.option("--dry-run", is_flag=True, help="Remove nothing, only say what would go.")
@click.option("--yes", is_flag=True, help="Don't ask.")
def clean_up(shared: Shared, age_s: float, dry_run: bool, yes: bool) -> None:
    """Remove the files of old jobs for good.

    The jobs stay known, only their files go, with the records beside them. Jobs that have not ended are not touched.
    """
    with shared.client() as client:
        reply = client.clean_outputs(age_s, dry_run=True)
        if not dry_run:
            if reply.jobs and not yes and not _agreed(reply):
                click.echo("Nothing was removed.", err=True)
                return
            reply = client.clean_outputs(age_s)
    shape = {"jobs": reply.jobs, "artifacts": reply.artifacts, "bytes": reply.bytes, "dry_run": reply.dry_run}
    shared.answer(shape, _removed(reply))


outputs.add_command(listing, "list")
outputs.add_command(stats, "stats")
outputs.add_command(clean_up, "clean")


def _agreed(planned: OutputsCleaned) -> bool:
    if not sys.stdin.isatty():
        raise click.UsageError(f"This would remove {_what(planned)}. Say --yes to do so, or --dry-run to look first.")
    return click.confirm(f"Remove {_what(planned)} for good?", err=True)


def _removed(reply: OutputsCleaned) -> str:
    if not reply.jobs and not reply.artifacts:
        return "There is nothing to remove."
    return f"{'Would remove' if reply.dry_run else 'Removed'} {_what(reply)}."


def _what(reply: OutputsCleaned) -> str:
    return f"{plural(reply.artifacts, 'file')} ({size(reply.bytes)}) of {plural(reply.jobs, 'job')}"


def _shape(one: JobOutputs) -> dict[str, Any]:
    return {
        "job_id": one.job_id,
        "name": one.name,
        "state": one.state,
        "folder": one.folder,
        "artifacts": one.artifacts,
        "bytes": one.bytes,
        "created_at": timestamp(one.created_at_ms),
    }


def _table(jobs: Iterable[JobOutputs]) -> str:
    rows: list[list[str | Cell]] = [
        [one.job_id, clip(one.name, 24), coloured(one.state), str(one.artifacts), size(one.bytes), one.folder]
        for one in jobs
    ]
    return table(("job", "name", "state", "files>", "size>", "folder"), rows)


def _files(job_id: str, found: list[JobOutputs], artifacts: list[Artifact]) -> str:
    if not found:
        return f"Job {job_id} has no files."
    rows = [[str(a.index), a.path.removeprefix(f"{found[0].folder}/"), a.media_type, size(a.bytes)] for a in artifacts]
    return "\n".join([clean(found[0].folder), table(("item>", "file", "type", "size>"), rows)])


def _sums(page: OutputsPage) -> str:
    totals = page.totals or []
    rows = [[total.engine, total.model, total.media_type, str(total.artifacts), size(total.bytes)] for total in totals]
    count, amount = sum(total.artifacts for total in totals), sum(total.bytes for total in totals)
    percent = 100 * page.disk.free / max(page.disk.total, 1)
    disk = f"The disk has {size(page.disk.free)} free of {size(page.disk.total)} ({percent:.0f} %)."
    lines = [table(("engine", "model", "type", "files>", "size>"), rows)] if rows else []
    return "\n".join([*lines, f"{plural(count, 'file')}, {size(amount)} in all. {disk}"])
