"""`stoker reload`: have the daemon read its configuration again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from stoker_client.cli.render import Cell, clean, table
from stoker_client.cli.verb import Shared, verb

if TYPE_CHECKING:
    from stoker_protocol.changes import ConfigChange


@verb("stoker reload", "stoker reload --json | jq '.changes[] | select(.is_applied | not)'")
def reload(shared: Shared) -> None:
    """Have the daemon read its configuration again.

    Shows what that changes; what needs a restart of the daemon says so. A configuration that makes no sense changes
    nothing.
    """
    with shared.client() as client:
        changes = client.reload().changes
    shared.answer({"changes": changes}, _text(changes))


def _text(changes: list[ConfigChange]) -> str:
    if not changes:
        return "The configuration is what it was."
    text = table(("key", "was", "is", "holds"), [_row(change) for change in changes])
    if all(change.is_applied for change in changes):
        return text
    return f"{text}\n\n{click.style('Some of it holds only after a restart', fg='yellow')}; nothing is lost by one."


def _row(change: ConfigChange) -> list[str | Cell]:
    holds = Cell("now", "green") if change.is_applied else Cell("after a restart", "yellow")
    return [change.key, clean(change.before)[:40], clean(change.after)[:40], holds]
