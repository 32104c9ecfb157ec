"""Tells why a job does not run yet, and when it does at the latest."""

from stoker_daemon.ports import Services
from stoker_protocol.replies import Why
from stoker_protocol.requests import AskWhy


async def handle(request: AskWhy, services: Services) -> Why:
    """Answer `why`.

    Raises:
        Refused: `not_found`.
    """
    return await services.planning.why(request.job_id)
