"""Tells what was done, how fast, and how long it waited."""

from stoker_daemon.ports import Services
from stoker_protocol.replies import Stats
from stoker_protocol.requests import GetStats


async def handle(request: GetStats, services: Services) -> Stats:
    """Answer `stats`.

    Raises:
        Refused: `not_found`.
    """
    return await services.store.stats(request)
