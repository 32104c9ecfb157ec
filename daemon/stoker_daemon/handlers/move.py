"""Gives a job another priority or place."""

from stoker_daemon.ports import Caller, Services
from stoker_protocol.replies import Moved
from stoker_protocol.requests import Move


async def handle(request: Move, caller: Caller, services: Services) -> Moved:
    """Answer `move`.

    Raises:
        Refused: `not_found`; `conflict`: the job was changed since `rev`; `invalid_state`: the job is over.
    """
    return await services.store.move(request, caller.name)
