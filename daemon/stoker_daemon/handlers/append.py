"""Adds items to an open job, each once whatever happens to the reply."""

from stoker_daemon.ports import Services
from stoker_protocol.replies import Appended
from stoker_protocol.requests import Append, Submit


async def handle(request: Append, services: Services) -> Appended:
    """Answer `append` after the items are on disk.

    Raises:
        Refused: `not_found`; `bad_request`: a parameter; `conflict`: other items are at that place, or some are missing
            before it; `invalid_state`: the job is sealed; `queue_full`.
    """
    job = await services.store.open_job(request.job_id)
    engine = services.engines[job.engine]
    as_submitted = Submit(
        id=request.id, job_id=request.job_id, items=request.items, model=job.placement.model, params=job.params
    )
    await engine.check(as_submitted, job.placement)
    return await services.store.append(request)
