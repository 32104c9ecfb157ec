"""What tests of watches share: taking what comes, and telling it briefly."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from stoker_client.operations.watching import Update
from stoker_protocol.events import AnyEvent


def take(watch: Iterator[Update], count: int) -> list[Update]:
    """The next updates; then the watch is over."""
    taken = list(islice(watch, count))
    close: Any = getattr(watch, "close", None)
    close()
    return taken


def seqs(updates: Iterable[Update]) -> list[int]:
    """The numbers of the lifecycle events among updates."""
    return [update.event.seq for update in updates if update.event is not None and update.event.seq is not None]


def kinds(updates: Iterable[Update]) -> list[str]:
    """Updates in a word each: the kind of the event, the word about the link, or the state of a job of a snapshot."""
    return [_kind(update) for update in updates]


def _kind(update: Update) -> str:
    if update.link:
        return update.link
    if update.event is not None:
        return tag_of(update.event)
    return f"{update.job.job_id} {update.job.state}" if update.job else "nothing"


def tag_of(event: AnyEvent) -> str:
    """The type of an event as it is on the wire."""
    return str(event.__struct_config__.tag)
