"""`stoker ping`: is the daemon there, and how far away is it?"""

from stoker_client.cli.verb import Shared, verb


@verb("stoker ping", "stoker ping --endpoint tcp://127.0.0.1:5577 --json")
def ping(shared: Shared) -> None:
    """Ask the daemon whether it is there.

    It answers at once, whatever it is busy with.
    """
    with shared.client() as client:
        round_trip_ms = round(client.ping() * 1000, 2)
        shape = {"endpoint": client.endpoint, "round_trip_ms": round_trip_ms}
        shared.answer(shape, f"{client.endpoint} answered in {round_trip_ms} ms.")
