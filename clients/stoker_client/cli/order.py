"""The job that was typed after `generate`: its items, its parameters, and how it is submitted."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from itertools import islice, product
from typing import TYPE_CHECKING, Any, NamedTuple, TextIO

import click

from stoker_client.cli.making import Workflow, naming, value_of_file
from stoker_protocol.jobs import MAX_ITEMS, MAX_SEED, Level
from stoker_protocol.replies import Submitted

if TYPE_CHECKING:
    from stoker_client.sync_client import Client


class Order(NamedTuple):
    """What shall be made, as the options of `generate` say it."""

    prompts: tuple[str, ...] = ()
    more_prompts: tuple[str, ...] = ()
    prompts_file: TextIO | None = None
    copies: int = 1
    limit: int | None = None
    engine: str = ""
    model: str = ""
    priority: str = "normal"
    size: tuple[int, int] | None = None
    steps: int | None = None
    seed: int | None = None
    recipe: str = ""
    workflow: Workflow | None = None
    profile: str = ""
    negative: str | None = None
    cfg: float | None = None
    denoise: float | None = None
    sampler: str | None = None
    scheduler: str | None = None
    vae: str | None = None
    loras: tuple[tuple[str, float | None], ...] = ()
    image: str | None = None
    mask: str | None = None
    settings: tuple[tuple[str, Any], ...] = ()
    batch_size: int = 0
    level: Level | None = None
    max_concurrency: int = 0
    name: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    dry_run: bool = False

    def submit(self, client: Client, job_id: str, *, silent: bool = False) -> Submitted:
        """Submit it under an id, its files first; the same order under the same id is the same job.

        `silent`: nothing is told of how far the files are.
        """
        items, params = self.items(job_id), self.params()
        files = _given(image=self.image, mask=self.mask)
        sent = {name: value_of_file(client, file, silent=silent) for name, file in files.items()}
        with naming(self.workflow):
            return client.submit(
                items,
                engine=self.engine,
                model=self.model,
                recipe=self.recipe,
                workflow=self.workflow.graph if self.workflow else None,
                profile=self.profile,
                params={**sent, **params},
                name=self.name,
                priority=self.priority,
                metadata=dict(self.labels),
                batch_size=self.batch_size,
                level=self.level,
                max_concurrency=self.max_concurrency,
                job_id=job_id,
                dry_run=self.dry_run,
            )

    def params(self) -> dict[str, Any]:
        """The parameters that all items share, but for files; only those that were given.

        Raises:
            click.UsageError: More than one LoRA.
        """
        if len(self.loras) > 1:
            raise click.UsageError(
                "A recipe takes one LoRA. For more, use a --workflow that loads them, and --set NODE.INPUT=VALUE."
            )
        width, height = self.size or (None, None)
        lora, lora_strength = self.loras[0] if self.loras else (None, None)
        return _given(
            width=width,
            height=height,
            steps=self.steps,
            negative=self.negative,
            cfg=self.cfg,
            denoise=self.denoise,
            sampler=self.sampler,
            scheduler=self.scheduler,
            vae=self.vae,
            lora=lora,
            lora_strength=lora_strength,
        ) | dict(self.settings)

    def items(self, job_id: str) -> list[dict[str, Any]]:
        """Every prompt, each of its copies with a seed of its own.

        Raises:
            click.UsageError: Nothing to make, too much for one job, or a seed beyond the largest.
        """
        prompts = list(self._all_prompts())
        if not prompts and not (self.settings or self.recipe or self.workflow or self.image):
            raise click.UsageError('Nothing to make. Give a prompt, for example: stoker generate "a red dragon"')
        if not all(map(str.strip, prompts)):
            raise click.UsageError("A prompt is empty: a variable of the shell that was not set?")
        seeds = self._seeds(job_id)
        total = max(len(prompts), 1) * len(seeds)
        wanted = min(total, self.limit or total)
        if wanted > MAX_ITEMS:
            raise click.UsageError(f"{wanted} items are too many: a job takes at most {MAX_ITEMS}. Make several jobs.")
        pairs = product(prompts or [None], seeds)
        return [{"params": _given(prompt=prompt, seed=seed)} for prompt, seed in islice(pairs, wanted)]

    def _all_prompts(self) -> Iterator[str]:
        yield from self.prompts
        yield from self.more_prompts
        yield from filter(None, map(str.strip, self.prompts_file or ()))

    def _seeds(self, job_id: str) -> Sequence[int | None]:
        """A seed for each copy; without `--seed` drawn from the job's id, so that repeating a submit repeats them.

        None are drawn where they are given otherwise, or a recipe knows better: frames of an animation share one, and
        so do the images of a series.
        """
        if self.level == "series":
            return [self.seed] * self.copies
        is_elsewhere = self.recipe or self.workflow or "seed" in dict(self.settings)
        if self.seed is None and (self.copies == 1 or is_elsewhere):
            return [None] * self.copies
        drawn = int.from_bytes(hashlib.sha256(job_id.encode()).digest()[:4], "big")
        first = drawn if self.seed is None else self.seed
        last = first + self.copies - 1
        if last > MAX_SEED:
            raise click.UsageError(f"The last seed would be {last}; the largest is {MAX_SEED}.")
        return range(first, last + 1)


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
