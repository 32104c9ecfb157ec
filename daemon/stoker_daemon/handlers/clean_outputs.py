"""Removes the files of jobs that ended long ago."""

from stoker_daemon.ports import Services
from stoker_protocol.replies import OutputsCleaned
from stoker_protocol.requests import CleanOutputs


async def handle(request: CleanOutputs, services: Services) -> OutputsCleaned:
    """Answer `clean_outputs`.

    Raises:
        Refused: `internal`: a file can't be removed.
    """
    return await services.cleaning.clean(request)
