"""Lets a held job or the queue go on."""

from stoker_daemon.ports import Caller, Services
from stoker_protocol.replies import Resumed
from stoker_protocol.requests import ResumeWork


async def handle(request: ResumeWork, caller: Caller, services: Services) -> Resumed:
    """Answer `resume`.

    Raises:
        Refused: `not_found`.
    """
    return await services.store.resume(request, caller.name)
