"""Tells what was done, how fast, and how long it waited."""

from msgspec import structs

from stoker_daemon.ports import Services
from stoker_protocol.replies import Stats
from stoker_protocol.requests import GetStats


async def handle(request: GetStats, services: Services) -> Stats:
    """Answer `stats`.

    Raises:
        Refused: `not_found`.
    """
    done = await services.store.stats(request)
    if request.job_id is not None:
        return done
    return structs.replace(done, etas=await services.planning.calibration())
