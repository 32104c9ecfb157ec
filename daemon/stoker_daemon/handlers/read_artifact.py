"""Gives the bytes of a file that a job made."""

from stoker_daemon.ports import Services
from stoker_protocol.replies import ArtifactBytes
from stoker_protocol.requests import ReadArtifact


async def handle(request: ReadArtifact, services: Services) -> ArtifactBytes:
    """Answer `read_artifact`.

    Raises:
        Refused: `not_found`: no such artifact, or its file is gone; `storage_unavailable`: it can't be read now.
    """
    artifact = await services.store.artifact(request.artifact_id)
    data = await services.artifacts.read(artifact.path, request.offset, request.length)
    return ArtifactBytes(
        artifact_id=artifact.artifact_id,
        offset=request.offset,
        data=data,
        total=artifact.bytes,
        sha256=artifact.sha256,
    )
