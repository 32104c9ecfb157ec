"""`stoker top`: all that goes on, on the whole screen: GPU, waves, queue, rates and events."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from time import time
from typing import TYPE_CHECKING, Any

import click
import msgspec

from stoker_client.cli.board import Frame, keep_showing
from stoker_client.cli.cards import portrait_of_gpus
from stoker_client.cli.portraits import portrait_of_queue
from stoker_client.cli.rates import summary
from stoker_client.cli.render import clean, clock, duration, plural, timestamp, troubles
from stoker_client.cli.sentences import line
from stoker_client.cli.shapes import status_shape
from stoker_client.cli.verb import Shared, verb
from stoker_client.operations.watching import Update

if TYPE_CHECKING:
    from stoker_client.sync_client import Client
    from stoker_protocol.events import AnyEvent
    from stoker_protocol.jobs import Job
    from stoker_protocol.replies import Plan, SnapshotPage, Stats

_WINDOW_S = 300.0
_EVENTS, _JOBS, _WAVES = 8, 10, 3


@verb("stoker top", "stoker top --once         # one look, for a log", "stoker top --once --json")
@click.option("--once", is_flag=True, help="Look once instead of until `q` or Ctrl+C.")
def top(shared: Shared, once: bool) -> None:
    """Show all that goes on, on the whole screen.

    The GPU and who holds it, the lanes, the queue, the waves to come, the rates of the last five minutes, and the
    newest events. `q` leaves.
    """
    with shared.client() as client:
        look = partial(_look, client)
        if once:
            frame = look()
            shared.answer(frame.shape, frame.text)
        else:
            keep_showing(shared, look, whole_screen=True)


def _look(client: Client) -> Frame:
    page, report, made = client.snapshot(), client.gpu(), client.plan()
    rates, events = client.stats(window_s=_WINDOW_S), client.recent_events(_EVENTS)
    shown = page.jobs[:_JOBS]
    more = [f"... and {plural(len(page.jobs) - _JOBS, 'job')} more (stoker status)"] if len(page.jobs) > _JOBS else []
    parts = [
        [_title(client, page.daemon.started_at_ms)],
        troubles(client.health(), {job.engine for job in page.jobs}),
        [each for each in portrait_of_gpus(report) if each],
        [portrait_of_queue(_with(page, shown), [], time()), *more],
        _waves(made),
        [f"Last five minutes: {summary(rates)}"],
        _told(events),
    ]
    text = "\n\n".join("\n".join(part) for part in parts if part)
    return Frame(_shape(status_shape(page), rates, made, events), text)


def _with(page: SnapshotPage, jobs: Sequence[Job]) -> SnapshotPage:
    return msgspec.structs.replace(page, jobs=list(jobs))


def _title(client: Client, started_at_ms: int) -> str:
    now_s = time()
    up = duration(now_s - started_at_ms / 1000)
    return click.style(f"stoker at {client.endpoint}, up {up}, {clock(round(now_s * 1000))}", bold=True)


def _waves(made: Plan) -> list[str]:
    """The next few waves, a line each."""
    lines = [
        f"  {clock(made.at_ms + round(1000 * wave.runs[0].start_s.p50))}  {clean(f'{wave.engine}/{wave.model}')},"
        f" {plural(sum(share.items for run in wave.runs for share in run.shares), 'item')}: {clean(wave.reason)}"
        for wave in made.waves[:_WAVES]
        if wave.runs
    ]
    more = len(made.waves) - _WAVES
    return ["To come (stoker plan):", *lines, *([f"  ... and {plural(more, 'wave')} more"] if more > 0 else [])][
        : 0 if not lines else None
    ]


def _told(events: Sequence[AnyEvent]) -> list[str]:
    lines = list(filter(None, (line(Update(event)) for event in events)))
    return ["Lately (stoker watch):", *(f"  {each}" for each in lines)] if lines else []


def _shape(status: dict[str, Any], rates: Stats, made: Plan, events: Sequence[AnyEvent]) -> dict[str, Any]:
    told: Iterator[dict[str, Any]] = (
        {"at": timestamp(event.at_ms), "type": str(event.__struct_config__.tag), "seq": event.seq} for event in events
    )
    left_out = ("v", "id")
    figures = {name: getattr(rates, name) for name in rates.__struct_fields__ if name not in left_out}
    waves = [{"engine": wave.engine, "model": wave.model, "reason": wave.reason} for wave in made.waves]
    return {**status, "rates": figures, "waves": waves, "events": list(told)}
