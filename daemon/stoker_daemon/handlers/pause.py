"""Holds back one job or all work."""

from stoker_daemon.ports import Caller, Services
from stoker_protocol.replies import Paused
from stoker_protocol.requests import PauseWork


async def handle(request: PauseWork, caller: Caller, services: Services) -> Paused:
    """Answer `pause`.

    Raises:
        Refused: `not_found`; `invalid_state`: the job is over.
    """
    return await services.store.pause(request, caller.name)
