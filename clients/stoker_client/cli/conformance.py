"""`stoker conformance`: whether a server or a client that somebody wrote keeps to the protocol."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, cast

import click

from stoker_client.cli.render import clean
from stoker_client.cli.verb import Shared, verb

if TYPE_CHECKING:
    from stoker_client.conformance.checking import Finding


@verb(
    "stoker conformance --against tcp://127.0.0.1:5577",
    "stoker conformance --against tcp://127.0.0.1:5577 --no-job   # only talk, let it make nothing",
    "stoker conformance --serve                                   # then let your client do what it says",
    "stoker conformance --serve --bind tcp://127.0.0.1:5577 --json",
    asks_daemon=False,
)
@click.option("--against", metavar="URL", help="Play the client against the server there.")
@click.option("--serve", is_flag=True, help="Play the server for a client that submits a job, follows and fetches it.")
@click.option("--bind", metavar="URL", default="tcp://127.0.0.1:0", help="Where to serve.  [default: a free port]")
@click.option("--job/--no-job", default=True, help="Let the server make something.  [default: yes]")
@click.option("--params", metavar="JSON", default='{"prompt": "a red dragon"}', help="The parameters of an item.")
@click.option("--patience", metavar="SECONDS", default=30.0, show_default=True, help="How long to wait for each thing.")
def conformance(
    shared: Shared, against: str | None, serve: bool, bind: str, job: bool, params: str, patience: float
) -> None:
    """Check a server or a client that you wrote.

    Plays the other side of docs/protocol.md and says of each thing whether it is so; exits with 1 if one is not.
    """
    if serve == (against is not None):
        raise click.UsageError("Say which side you wrote: --against URL checks a server, --serve a client.")
    if against is not None:
        from stoker_client.conformance.against import play

        is_well = _tell(shared, play(against, patience, _map_of(params), make=job))
    else:
        from stoker_client.conformance.serve import Server

        with Server(bind) as server:
            if not shared.json:
                click.echo(f"Serving at {server.control}. Let your client submit a job, follow it and fetch its file.")
            is_well = _tell(shared, server.play(patience))
    if not is_well:
        click.get_current_context().exit(1)


def _tell(shared: Shared, findings: Iterable[Finding]) -> bool:
    """Tell each as it is found; whether all is as expected."""
    found: list[Finding] = []
    for finding in findings:
        found.append(finding)
        if not shared.json:
            mark = click.style("ok", fg="green") if finding.ok else click.style("!!", fg="red")
            click.echo(f"{mark}  {finding.expected}" + (f"\n    but {clean(finding.seen)}" if finding.seen else ""))
    bad = sum(not finding.ok for finding in found)
    shape = {"ok": not bad, "findings": [finding.shape() for finding in found]}
    shared.answer(shape, "All is as expected." if not bad else f"Not as expected: {bad} of {len(found)}.")
    return not bad


def _map_of(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise click.UsageError(f"--params is no JSON: {error}") from None
    if not isinstance(value, dict):
        raise click.UsageError('--params is a map, for example \'{"prompt": "a red dragon"}\'')
    return cast("dict[str, Any]", value)
