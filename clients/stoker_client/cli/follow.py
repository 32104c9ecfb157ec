"""Staying with jobs to their end: events and progress as JSON, as plain lines, or live on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from time import monotonic
from typing import TYPE_CHECKING, Protocol

import click

from stoker_client.cli.failure import Interrupted
from stoker_client.cli.render import pause_facts, troubles
from stoker_client.cli.sentences import ending, how_far, is_notable, line
from stoker_client.cli.shapes import print_json, update_shape
from stoker_client.cli.verb import Shared
from stoker_client.operations.watching import Update
from stoker_protocol.events import JobProgress
from stoker_protocol.jobs import Job, JobState

if TYPE_CHECKING:
    from stoker_client.sync_client import Client

_BETWEEN_LINES_S = 5.0


class View(Protocol):
    """Where updates are shown."""

    def __enter__(self) -> View: ...

    def __exit__(self, *_: object) -> None: ...

    def show(self, update: Update) -> None: ...


def follow(shared: Shared, client: Client, job_ids: Sequence[str], *, events: bool) -> list[Job]:
    """Show what happens to jobs until all are final, and return them; without names all jobs, until Ctrl+C.

    `events`: each event is told, not only how far things are.

    Raises:
        Interrupted: Ctrl+C; the jobs go on.
    """
    jobs: dict[str, Job] = {}
    if not shared.json and job_ids:
        _tell_what_is_in_the_way(client, job_ids)
    elif not shared.json:
        click.echo("What happens from now on is told here, until Ctrl+C.", err=True)
    try:
        with view_for(shared, events=events) as view:
            for update in client.watch(job_ids or None, pauses=True):
                if update.job is not None:
                    jobs[update.job.job_id] = update.job
                view.show(update)
    except KeyboardInterrupt:
        raise Interrupted(job_ids) from None
    return [jobs[job_id] for job_id in job_ids]


def end_with(shared: Shared, jobs: Sequence[Job]) -> None:
    """Tell people how jobs ended, and exit with 1 unless all succeeded."""
    if not shared.json:
        click.echo("\n".join(map(ending, jobs)))
    if any(job.state is not JobState.SUCCEEDED for job in jobs):
        click.get_current_context().exit(1)


def view_for(shared: Shared, *, events: bool) -> View:
    """The view that suits who looks on; `events`: each is told, not only what delays or ends something."""
    if shared.json:
        return JsonView(events=events)
    if sys.stdout.isatty():
        from stoker_client.cli.live import LiveView

        return LiveView(events=events)
    return PlainView(events=events)


def _tell_what_is_in_the_way(client: Client, job_ids: Sequence[str]) -> None:
    page = client.snapshot(job_ids)
    if held := page.queue.paused:
        click.echo(f"All work is held back {pause_facts(held)}  (stoker resume)")
    if any(not job.state.is_final for job in page.jobs):
        for trouble in troubles(client.health(), {job.engine for job in page.jobs}):
            click.echo(trouble)


class JsonView:
    """One JSON line for each update, or nothing."""

    def __init__(self, *, events: bool) -> None:
        self._events = events

    def __enter__(self) -> JsonView:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def show(self, update: Update) -> None:
        if self._events:
            print_json(update_shape(update))


class PlainView:
    """Lines for a log: each event, or now and then how far things are."""

    def __init__(self, *, events: bool) -> None:
        self._events = events
        self._last_s = 0.0

    def __enter__(self) -> PlainView:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def show(self, update: Update) -> None:
        if isinstance(update.event, JobProgress):
            if not self._events and monotonic() - self._last_s >= _BETWEEN_LINES_S:
                self._last_s = monotonic()
                click.echo(f"{update.event.job_id}: {how_far(update.event.progress)}")
        elif (self._events or is_notable(update)) and (text := line(update)):
            click.echo(text)
