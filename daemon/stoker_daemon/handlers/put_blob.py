"""Takes an input file, piece by piece."""

from stoker_daemon.ports import Services
from stoker_protocol.replies import BlobStored
from stoker_protocol.requests import PutBlob


async def handle(request: PutBlob, services: Services) -> BlobStored:
    """Answer `put_blob` after the bytes are written, and with the last ones after they are on disk and verified.

    Raises:
        Refused: `bad_request`: no SHA-256, or the bytes are not those that it is of.
    """
    return await services.blobs.put(request)
