"""`stoker rerun`: make a picture again from what it says about itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from stoker_client.cli.follow import end_with, follow
from stoker_client.cli.making import Workflow, naming
from stoker_client.cli.provenance import OWN_WORKFLOW, Provenance, read_provenance
from stoker_client.cli.render import clean, plural
from stoker_client.cli.shapes import job_shape, print_json
from stoker_client.cli.values import setting
from stoker_client.cli.verb import Shared, verb
from stoker_protocol.jobs import MAX_ITEMS, MAX_SEED
from stoker_protocol.replies import Submitted


@verb(
    "stoker rerun outputs/2026-01-31/JOB/images/00003_0.png",
    "stoker rerun dragon.png --set steps=40 --wait",
    "stoker rerun dragon.png -n 8   # it, and seven of other seeds",
)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "-n",
    "--count",
    "copies",
    type=click.IntRange(1, MAX_ITEMS),
    default=1,
    metavar="N",
    help="Copies; from the second on the seeds differ.",
)
@click.option("--set", "settings", type=setting, metavar="NAME=VALUE", multiple=True, help="A parameter to change.")
@click.option("--job-id", metavar="ID", help="An id of your own: the same command again is the same job, not another.")
@click.option("--dry-run", is_flag=True, help="Check everything, submit nothing.")
@click.option("--wait", is_flag=True, help="Stay until the job ends; Ctrl+C leaves it running.")
def rerun(
    shared: Shared,
    file: Path,
    copies: int,
    settings: tuple[tuple[str, Any], ...],
    job_id: str | None,
    dry_run: bool,
    wait: bool,
) -> None:
    """Make a picture again, by the same engine in the same way.

    Model, recipe or workflow, and parameters are those that FILE names: a PNG that Stoker made, which need not be where
    it was.
    """
    made = read_provenance(file)
    changes = dict(settings)
    params = {**made.params, **changes}
    with shared.client() as client, naming(Workflow(str(file), made.workflow) if made.workflow else None):
        reply = client.submit(
            _items(params.get("seed"), copies),
            params=params,
            job_id=job_id,
            engine=made.engine,
            model=made.model,
            recipe="" if made.recipe == OWN_WORKFLOW else made.recipe,
            workflow=made.workflow,
            metadata={"rerun_of": _origin(made, file, changes)},
            dry_run=dry_run,
        )
        stays = wait and not dry_run
        if not (stays and shared.json):
            shared.answer(_shape(reply), _text(reply, made, stays))
        if stays:
            jobs = follow(shared, client, [reply.job_id], events=False)
            if shared.json:
                print_json(job_shape(jobs[0]))
            end_with(shared, jobs)


def _items(first: Any, copies: int) -> list[dict[str, Any]]:
    """The same item once, then with the seeds that follow; what had no seed counts from 0.

    Raises:
        click.UsageError: The last seed is beyond the largest, or the seed is none to count from.
    """
    if first is not None and copies > 1 and (not isinstance(first, int) or first + copies - 1 > MAX_SEED):
        raise click.UsageError(f"The seed is {first!r}; there are not {copies - 1} more up to {MAX_SEED}.")
    next_seed = 0 if first is None else first + 1
    return [{}, *({"params": {"seed": seed}} for seed in range(next_seed, next_seed + copies - 1))]


def _origin(made: Provenance, file: Path, changes: dict[str, Any]) -> dict[str, Any]:
    origin = {"job_id": made.job_id, "index": made.index, "file": file.name}
    return {**origin, "changed": changes} if changes else origin


def _shape(reply: Submitted) -> dict[str, Any]:
    return {"job_id": reply.job_id, "items": reply.items, "model": reply.model, "dry_run": reply.dry_run}


def _text(reply: Submitted, made: Provenance, stays: bool) -> str:
    model = f" for {reply.model}" if reply.model else ""
    what = f"{plural(reply.items, 'item')}{model}, as item {made.index} of job {made.job_id}"
    if reply.dry_run:
        return f"Nothing was submitted. It would be accepted: {clean(what)}."
    accepted = f"Job {reply.job_id} accepted: {clean(what)}."
    return accepted if stays else f"{accepted}\nFollow it: stoker watch {reply.job_id}"
