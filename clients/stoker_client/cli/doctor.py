"""`stoker doctor`: what is well, what is not, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import version
from time import time
from typing import TYPE_CHECKING, NamedTuple

import click

from stoker_client.cli.failure import UNAVAILABLE_EXIT
from stoker_client.cli.render import GONE, clean, duration, gone, pause_facts, plural
from stoker_client.cli.verb import Shared, verb
from stoker_client.errors import StokerError
from stoker_client.operations.watching import events_endpoint
from stoker_protocol.codec import VERSION
from stoker_protocol.events import DAEMON_TOPIC

if TYPE_CHECKING:
    from stoker_client.sync_client import Client
    from stoker_protocol.replies import Welcome

_TICK_MS = 5000
_CLOCK_OFF_S = 5.0


class Check(NamedTuple):
    """One thing that was looked at: whether it is well, what was seen, and what to do, also where it is well enough."""

    part: str
    ok: bool
    detail: str
    advice: str = ""


@verb("stoker doctor", "stoker doctor --endpoint tcp://127.0.0.1:5577 --json")
def doctor(shared: Shared) -> None:
    """Find out what is not well, and what to do about it.

    Looks at the way to the daemon and at the daemon itself; exits with 5 if something is not well.
    """
    with shared.client() as client:
        checks = list(_checks(client))
    is_well = all(check.ok for check in checks)
    shape = {"ok": is_well, "checks": [check._asdict() for check in checks]}
    shared.answer(shape, _text(checks))
    if not is_well:
        click.get_current_context().exit(UNAVAILABLE_EXIT)


def _checks(client: Client) -> Iterator[Check]:
    try:
        welcome = client.hello()
    except StokerError as error:
        yield Check("daemon", False, error.message, error.hint)
        return
    yield Check("daemon", True, f"{client.endpoint} answers, round trip {client.ping() * 1000:.1f} ms")
    yield from _about(client, welcome)
    yield _events(client, welcome)
    report = client.health()
    queue, jobs = (snapshot := client.snapshot()).queue, snapshot.jobs
    if queue.paused:
        yield Check("queue", True, f"all work is held back {pause_facts(queue.paused)}", "stoker resume lets it go on")
    for finding in [*report.findings, *client.check()]:
        yield Check(finding.part, finding.ok, finding.detail or "nothing is in its way", finding.advice)
    for engine in gone(report, {job.engine for job in jobs}):
        yield Check(f"engine {engine}", False, f"{GONE}, and jobs wait for it", "name it again, or cancel them")


def _about(client: Client, welcome: Welcome) -> Iterator[Check]:
    mine, theirs = version("stoker"), welcome.daemon.version
    speaks = VERSION in welcome.versions
    advice = "" if speaks and mine == theirs else "install the same version of stoker on both sides"
    yield Check("version", speaks, f"client {mine}, daemon {theirs}, protocol {VERSION}", advice)
    how = f", by the key of {client.key.name}; nobody can listen in" if client.key else ""
    yield Check("you", True, f"{welcome.name}, with the role {welcome.role}{how}")
    yield _clocks(welcome.server_time_ms / 1000 - time())


def _clocks(ahead_s: float) -> Check:
    """Whether times that the daemon tells mean the same here."""
    if abs(ahead_s) < _CLOCK_OFF_S:
        return Check("your clock", True, "the daemon's is like it")
    detail = f"the daemon's is {duration(abs(ahead_s))} {'ahead of' if ahead_s > 0 else 'behind'} it"
    return Check(
        "your clock", False, detail, "set the one that is wrong, or have both kept right: timedatectl set-ntp true"
    )


def _events(client: Client, welcome: Welcome) -> Check:
    """Whether a tick arrives, as one does each second."""
    import zmq

    from stoker_client.shell import open_events

    try:
        endpoint = events_endpoint(client.endpoint, welcome.events)
    except StokerError as error:
        return Check("events", False, error.message, error.hint)
    with zmq.Context() as context, open_events(context, endpoint, (DAEMON_TOPIC,), client.key) as socket:
        arrived = socket.poll(_TICK_MS)
    if arrived:
        return Check("events", True, f"{endpoint} sends")
    advice = f"is port {endpoint.rpartition(':')[2]} open on the way to the daemon? Progress and `watch` need it"
    return Check("events", False, f"{endpoint} is silent", advice)


def _text(checks: list[Check]) -> str:
    lines: list[str] = []
    width = max(16, *(len(check.part) + 2 for check in checks))
    for check in checks:
        mark = _mark(check)
        lines.append(f"{mark}  {clean(check.part):<{width}}{clean(check.detail)}".rstrip())
        lines += [f"    {'':<{width}}{clean(check.advice)}"] if check.advice else []
    bad = sum(not check.ok for check in checks)
    noted = sum(check.ok and bool(check.advice) for check in checks)
    well = f"All is well; {plural(noted, 'part')} could be better." if noted else "All is well."
    lines.append(well if not bad else f"Not well: {plural(bad, 'part')}.")
    return "\n".join(lines)


def _mark(check: Check) -> str:
    if not check.ok:
        return click.style("!!", fg="red")
    return click.style("??", fg="yellow") if check.advice else click.style("ok", fg="green")
