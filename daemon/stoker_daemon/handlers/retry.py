"""Sends items that did not succeed back to the queue."""

from stoker_daemon.ports import Caller, Services
from stoker_protocol.replies import Retried
from stoker_protocol.requests import Retry


async def handle(request: Retry, caller: Caller, services: Services) -> Retried:
    """Answer `retry`.

    Raises:
        Refused: `not_found`; `conflict`: the job was changed since `rev`; `invalid_state`: nothing to retry.
    """
    return await services.store.retry(request, caller.name)
