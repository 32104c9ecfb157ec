"""Lists the files that a job made."""

from stoker_daemon.ports import Services
from stoker_protocol.replies import ArtifactsPage
from stoker_protocol.requests import ListArtifacts


async def handle(request: ListArtifacts, services: Services) -> ArtifactsPage:
    """Answer `artifacts`.

    Raises:
        Refused: `not_found`.
    """
    return await services.store.artifacts(request)
