"""Bringing an input file to the daemon: only what is not there yet, and after a break from where it stopped."""

from collections.abc import Callable

from msgspec import structs

from stoker_client.errors import BadReply, BadRequest, TooLarge
from stoker_client.operations.calling import Caller
from stoker_client.operations.effects import MeasureFile, Operation, ReadFile
from stoker_protocol import replies as re
from stoker_protocol import requests as ask

CHUNK = 512 << 10
"""Bytes of one request: few enough for a slow line to carry them within the first try of a call."""
PREFIX = "blob:"
"""What a parameter's value begins with that means a file by its SHA-256."""
_STANDSTILLS = 3

Told = Callable[[int, int], None]
"""Hears how many bytes of how many are there."""


def upload(caller: Caller, told: Told | None) -> Operation[str]:
    """Bring the caller's file to the daemon; the value by which parameters mean it.

    Raises:
        BadRequest: The file is empty, or was changed while it was sent.
        TooLarge: The daemon takes no file of that size.
        BadReply: The daemon takes bytes, and does not have them then.
    """
    sha256, total = yield MeasureFile()
    if not total:
        raise BadRequest("bad_request", "the file is empty", field="file", hint="send one that says something")
    if total > ask.MAX_BLOB:
        raise TooLarge("too_large", f"the file has {total} bytes", field="file", hint=f"at most {ask.MAX_BLOB} bytes")
    request = ask.PutBlob(id=caller.next_id(), sha256=sha256, total=total)
    stored = yield from caller.call(request, re.BlobStored)
    standstills = 0
    while not stored.complete:
        before = stored.received
        data: bytes = yield ReadFile(before, CHUNK)
        if not data:
            raise BadRequest(
                "bad_request", f"the file ends after {before} bytes now", field="file", hint="send it anew"
            )
        request = structs.replace(request, id=caller.next_id(), offset=before, data=data)
        stored = yield from caller.call(request, re.BlobStored)
        standstills = 0 if stored.received > before else standstills + 1
        if standstills == _STANDSTILLS:
            raise BadReply(f"{before} of {total} bytes are there, however often the next ones are sent")
        if told is not None:
            told(stored.received, total)
    return f"{PREFIX}{sha256}"
