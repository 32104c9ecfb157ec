"""Cancels jobs: what waits at once, what runs as soon as it lets go; a scope means all, or the caller's own."""

from stoker_daemon.ports import Caller, Services
from stoker_protocol.errors import ErrorCode, Refused
from stoker_protocol.replies import Cancelled
from stoker_protocol.requests import Cancel, Role


async def handle(request: Cancel, caller: Caller, services: Services) -> Cancelled:
    """Answer `cancel`.

    Raises:
        Refused: `not_found`; `bad_request`: neither jobs nor a scope, or both.
    """
    if (request.job_ids is None) == (request.scope is None):
        raise Refused(
            ErrorCode.BAD_REQUEST,
            "name either job_ids or a scope",
            field="job_ids",
            hint="job_ids: [...], or scope: queued or all",
        )
    owner = None if caller.role >= Role.ADMIN else caller.name
    return Cancelled(jobs=await services.store.cancel(request, caller.name, owner))
