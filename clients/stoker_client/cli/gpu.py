"""`stoker gpu`: how busy, full and hot the GPU is, and who holds what on it, once or until Ctrl+C."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import click
import msgspec

from stoker_client.cli.board import Frame, keep_showing
from stoker_client.cli.cards import portrait_of_gpus
from stoker_client.cli.render import timestamp
from stoker_client.cli.verb import Shared, verb

if TYPE_CHECKING:
    from stoker_client.sync_client import Client
    from stoker_protocol.replies import GpuReport


@verb(
    "stoker gpu              # how it is, and how it was in the last minutes",
    "stoker gpu --watch      # stays, and keeps itself up to date",
    "stoker gpu --json | jq .holdings",
)
@click.option("--watch", is_flag=True, help="Stay and show what changes, until `q`.")
def gpu(shared: Shared, watch: bool) -> None:
    """Show how busy, full and hot the GPU is, and who holds what on it."""
    with shared.client() as client:
        look = partial(_look, client)
        if watch:
            keep_showing(shared, look)
        else:
            frame = look()
            shared.answer(frame.shape, frame.text)


def _look(client: Client) -> Frame:
    report = client.gpu()
    return Frame(_shape(report), "\n".join(portrait_of_gpus(report)))


def _shape(report: GpuReport) -> dict[str, Any]:
    sample = report.sample
    return {
        "at": timestamp(sample.at_ms) if sample else None,
        "gpus": sample.gpus if sample else [],
        "host": sample.host if sample else None,
        "trouble": sample.trouble if sample else "",
        "executor": report.executor,
        "holdings": report.holdings,
        "checks": report.checks,
        "every_s": report.every_s,
        "history": [
            msgspec.structs.asdict(history) | {"at_ms": [timestamp(at_ms) for at_ms in history.at_ms]}
            for history in report.history
        ],
    }
