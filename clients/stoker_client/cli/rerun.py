"""`stoker rerun`: make a picture again from what it says about itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from stoker_client.cli.follow import end_with, follow
from stoker_client.cli.recipe import Recipe, read_recipe
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
    """Make a picture again, with the same engine, model and parameters.

    FILE is a PNG that Stoker made; it need not be where it was.
    """
    recipe = read_recipe(file)
    changes = dict(settings)
    with shared.client() as client:
        reply = client.submit(
            _items({**recipe.params, **changes}, copies),
            job_id=job_id,
            engine=recipe.engine,
            model=recipe.model,
            metadata={"rerun_of": _origin(recipe, file, changes)},
            dry_run=dry_run,
        )
        stays = wait and not dry_run
        if not (stays and shared.json):
            shared.answer(_shape(reply), _text(reply, recipe, stays))
        if stays:
            jobs = follow(shared, client, [reply.job_id], events=False)
            if shared.json:
                print_json(job_shape(jobs[0]))
            end_with(shared, jobs)


def _items(params: dict[str, Any], copies: int) -> list[dict[str, Any]]:
    """The same item once, then with the seeds that follow; what had no seed counts from 0.

    Raises:
        click.UsageError: The last seed is beyond the largest, or the seed is none to count from.
    """
    if copies == 1:
        return [{"params": params}]
    first = params.get("seed")
    if first is None:
        return [{"params": params}, *({"params": {**params, "seed": seed}} for seed in range(copies - 1))]
    if not isinstance(first, int) or first + copies - 1 > MAX_SEED:
        raise click.UsageError(f"The seed is {first!r}; there are not {copies - 1} more up to {MAX_SEED}.")
    return [{"params": {**params, "seed": seed}} for seed in range(first, first + copies)]


def _origin(recipe: Recipe, file: Path, changes: dict[str, Any]) -> dict[str, Any]:
    origin = {"job_id": recipe.job_id, "index": recipe.index, "file": file.name}
    return {**origin, "changed": changes} if changes else origin


def _shape(reply: Submitted) -> dict[str, Any]:
    return {"job_id": reply.job_id, "items": reply.items, "model": reply.model, "dry_run": reply.dry_run}


def _text(reply: Submitted, recipe: Recipe, stays: bool) -> str:
    what = f"{plural(reply.items, 'item')} for {clean(reply.model)}, as item {recipe.index} of job {recipe.job_id}"
    if reply.dry_run:
        return f"Nothing was submitted. It would be accepted: {clean(what)}."
    accepted = f"Job {reply.job_id} accepted: {clean(what)}."
    return accepted if stays else f"{accepted}\nFollow it: stoker watch {reply.job_id}"
