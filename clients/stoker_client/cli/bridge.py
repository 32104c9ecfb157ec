"""`stoker bridge`: lets clients that speak another protocol use the daemon."""

from __future__ import annotations

from pathlib import Path

import click

from stoker_client.cli.verb import Shared, verb

LOOPBACK = ("tcp://127.", "tcp://localhost:", "tcp://[::1]:", "ipc://")


@verb(
    "stoker bridge dgx-pixels",
    "stoker bridge dgx-pixels --control tcp://127.0.0.1:6555 --updates tcp://127.0.0.1:6556",
    "stoker bridge dgx-pixels --previews /tmp/previews --json",
)
@click.argument("protocol", metavar="dgx-pixels", type=click.Choice(["dgx-pixels"]))
@click.option("--control", metavar="URL", default="tcp://127.0.0.1:5555", show_default=True, help="Where to answer.")
@click.option("--updates", metavar="URL", default="tcp://127.0.0.1:5556", show_default=True, help="Where to publish.")
@click.option("--previews", metavar="DIR", type=click.Path(file_okay=False, path_type=Path), help="Where pictures go.")
@click.option("--insecure", is_flag=True, help="Bind other addresses than loopback: that protocol knows no keys.")
def bridge(shared: Shared, protocol: str, control: str, updates: str, previews: Path | None, insecure: bool) -> None:
    """Let clients of another program use the daemon.

    Speaks protocol 1 of dgx-pixels, until Ctrl+C; a `generate` becomes a job, its `id` the job's.
    """
    assert protocol == "dgx-pixels"
    if not insecure and not (control.startswith(LOOPBACK) and updates.startswith(LOOPBACK)):
        raise click.UsageError("That protocol knows no keys, so only loopback is bound unless you say --insecure.")
    import asyncio

    asyncio.run(_run(shared, control, updates, previews))


async def _run(shared: Shared, control: str, updates: str, previews: Path | None) -> None:
    import tempfile

    import zmq

    from stoker_client.async_client import AsyncClient
    from stoker_client.bridges.dgx_pixels.bridge import Bridge

    with tempfile.TemporaryDirectory(prefix="stoker-previews-") as scratch:
        async with AsyncClient(shared.endpoint, key=shared.key, timeout_s=shared.timeout_s) as client:
            await client.hello()
            try:
                serving = Bridge(client, control, updates, previews or Path(scratch))
            except zmq.ZMQError as error:
                raise click.UsageError(
                    f"can't bind {control} and {updates}: {zmq.strerror(error.errno or 0)}"
                ) from None
            shape = {"control": serving.control, "updates": serving.updates, "daemon": client.endpoint}
            text = f"Answering at {serving.control}, publishing at {serving.updates}, for {client.endpoint}."
            shared.answer(shape, text)
            await serving.run()
