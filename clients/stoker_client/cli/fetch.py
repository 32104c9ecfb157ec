"""`stoker fetch`: bring the files of a job here."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from stoker_client.cli import complete
from stoker_client.cli.batch_files import write_batch_files
from stoker_client.cli.render import plural
from stoker_client.cli.verb import Shared, verb
from stoker_protocol.jobs import Job

if TYPE_CHECKING:
    from stoker_client.sync_client import Client


@verb(
    "stoker fetch JOB",
    "stoker fetch JOB -o pictures",
    "stoker fetch JOB --batch",
    "stoker fetch JOB --json | jq -r .files[]",
)
@click.argument("job_id", metavar="JOB", shell_complete=complete.jobs)
@click.option(
    "-o",
    "--output",
    "directory",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where to; made if it is not there.  [default: a directory here, called by the job]",
)
@click.option("--batch", is_flag=True, help="Write results.jsonl and errors.jsonl, too, as OpenAI's batches have them.")
def fetch(shared: Shared, job_id: str, directory: Path | None, batch: bool) -> None:
    """Copy the files of JOB into a directory.

    Each is checked; those that are there already are left as they are, so it may be repeated while the job runs.
    """
    with shared.client() as client:
        job = client.find(job_id)
        directory = directory or Path(_called_by(job))
        try:
            ended = list(client.items(job.job_id)) if batch else []
            files = list(_fetch(shared, client, job.job_id, directory))
            files += write_batch_files(directory, job.job_id, ended) if batch else []
        except OSError as error:
            raise click.UsageError(f"Can't write into {directory}: {error.strerror}.") from None
    rest = "" if job.state.is_final else f"\nThe job is still {job.state}; fetch again for the rest."
    shared.answer(
        {"job_id": job.job_id, "directory": str(directory.resolve()), "files": [str(file.resolve()) for file in files]},
        f"{plural(len(files), 'file')} in {directory.resolve()}{rest}",
    )


def _called_by(job: Job) -> str:
    """A name for a directory, also on Windows. The id keeps jobs of one name apart, whose files are called alike."""
    return "-".join([*re.findall(r"[A-Za-z0-9]+", job.name[:60]), job.job_id])


def _fetch(shared: Shared, client: Client, job_id: str, directory: Path) -> Iterator[Path]:
    """Fetch, with a bar where somebody looks on."""
    files = client.fetch(job_id, directory)
    if shared.json or not sys.stdout.isatty():
        return files
    from rich.progress import track

    return iter(track(files, "Fetching", total=sum(1 for _ in client.artifacts(job_id)), transient=True))
