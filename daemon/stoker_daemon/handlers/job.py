"""Shows one job."""

from stoker_daemon.ports import Services
from stoker_protocol.replies import JobReply
from stoker_protocol.requests import GetJob


async def handle(request: GetJob, services: Services) -> JobReply:
    """Answer `job`.

    Raises:
        Refused: `not_found`.
    """
    return await services.store.job(request.job_id)
