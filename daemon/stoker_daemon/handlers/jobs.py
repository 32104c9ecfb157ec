"""Lists jobs, newest first."""

from stoker_daemon.ports import Services
from stoker_protocol.replies import JobsPage
from stoker_protocol.requests import ListJobs


async def handle(request: ListJobs, services: Services) -> JobsPage:
    """Answer `jobs`."""
    return await services.store.jobs(request)
