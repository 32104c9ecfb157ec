"""What a shell may complete: jobs, engines and models as the daemon knows them, nothing if it does not answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from stoker_client.cli.verb import Shared
from stoker_client.errors import StokerError

if TYPE_CHECKING:
    from stoker_client.sync_client import Client
    from stoker_protocol.jobs import Job

_PATIENCE_S = 0.5
_MOST = 50


def jobs(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The newest jobs, by their ids and their names."""
    return _ask(ctx, incomplete, lambda client: _words_for(list(islice(client.jobs(), _MOST))))


def engines(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The engines."""
    return _ask(ctx, incomplete, lambda client: [(engine.name, engine.state) for engine in client.engines()])


def models(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The models of all engines."""
    return _ask(
        ctx, incomplete, lambda client: [(m.name, m.summary) for engine in client.engines() for m in engine.models]
    )


def _words_for(jobs: list[Job]) -> Iterator[tuple[str, str]]:
    """Ids, and those names that a shell takes for one word and that mean one job."""
    yield from ((job.job_id, f"{job.state} {job.name}") for job in jobs)
    names = Counter(job.name for job in jobs)
    yield from ((job.name, f"{job.state} {job.job_id}") for job in jobs if _is_word(job.name) and names[job.name] == 1)


def _is_word(name: str) -> bool:
    return name.replace("-", "").replace("_", "").replace(".", "").isalnum()


def _ask(
    ctx: click.Context, incomplete: str, question: Callable[[Client], Iterable[tuple[str, str]]]
) -> list[CompletionItem]:
    try:
        with Shared(ctx.params.get("endpoint"), json=False, timeout_s=_PATIENCE_S).client() as client:
            return [CompletionItem(word, help=told) for word, told in question(client) if word.startswith(incomplete)]
    except StokerError:
        return []
