"""What a shell may complete: jobs, engines and models as the daemon knows them, nothing if it does not answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from stoker_client.cli.verb import Shared
from stoker_client.errors import StokerError

if TYPE_CHECKING:
    from stoker_client.sync_client import Client

_PATIENCE_S = 0.5
_MOST = 50


def jobs(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The newest jobs."""
    return _ask(
        ctx, incomplete, lambda client: [(j.job_id, f"{j.state} {j.name}") for j in islice(client.jobs(), _MOST)]
    )


def engines(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The engines."""
    return _ask(ctx, incomplete, lambda client: [(engine.name, engine.state) for engine in client.engines()])


def models(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The models of all engines."""
    return _ask(
        ctx, incomplete, lambda client: [(m.name, m.summary) for engine in client.engines() for m in engine.models]
    )


def _ask(
    ctx: click.Context, incomplete: str, question: Callable[[Client], Iterable[tuple[str, str]]]
) -> list[CompletionItem]:
    try:
        with Shared(ctx.params.get("endpoint"), json=False, timeout_s=_PATIENCE_S).client() as client:
            return [CompletionItem(word, help=told) for word, told in question(client) if word.startswith(incomplete)]
    except StokerError:
        return []
