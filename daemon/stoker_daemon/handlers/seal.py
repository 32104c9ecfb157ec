"""Closes an open job."""

from stoker_daemon.ports import Services
from stoker_protocol.replies import Sealed
from stoker_protocol.requests import Seal


async def handle(request: Seal, services: Services) -> Sealed:
    """Answer `seal`; a job that is sealed stays so.

    Raises:
        Refused: `not_found`.
    """
    return await services.store.seal(request)
