"""`stoker relay`: a daemon that wants keys, offered on loopback to clients that know none."""

import click

from stoker_client.cli.verb import Shared, verb


@verb(
    "stoker relay --key alice.key                  # then tcp://127.0.0.1:5577 is that daemon, for you",
    "stoker relay --control tcp://127.0.0.1:6577 --events tcp://127.0.0.1:6578",
)
@click.option("--control", metavar="URL", default="tcp://127.0.0.1:5577", show_default=True, help="Where to answer.")
@click.option("--events", metavar="URL", default="tcp://127.0.0.1:5578", show_default=True, help="Where to publish.")
def relay(shared: Shared, control: str, events: str) -> None:
    """Offer a daemon that wants keys to clients without.

    Holds your key and listens on loopback, until Ctrl+C. Whoever reaches it there may do what your key may:
    give it a key of the least role that will do.
    """
    from stoker_client.keys import Target
    from stoker_client.relaying import Relay

    with shared.client() as client:
        welcome = client.hello()
        daemon = Target(client.endpoint, client.key)
    serving = Relay(daemon, welcome.events, control, events)
    try:
        where = {"control": serving.control, "events": serving.events, "daemon": daemon.endpoint}
        text = f"{daemon.endpoint} is at {serving.control} now, as {welcome.name} with the role {welcome.role}."
        shared.answer({**where, "name": welcome.name, "role": welcome.role}, text)
        serving.serve()
    finally:
        serving.close()
