"""Holds back one job or all work."""

from msgspec import structs

from stoker_daemon.ports import Caller, Services
from stoker_protocol.errors import ErrorCode, Refused
from stoker_protocol.replies import Paused
from stoker_protocol.requests import PauseWork


async def handle(request: PauseWork, caller: Caller, services: Services) -> Paused:
    """Answer `pause`.

    Raises:
        Refused: `not_found`; `invalid_state`: the job is over; `bad_request`: one job can't release the GPU.
    """
    if request.release_gpu and request.job_id is not None:
        hint = "leave out `job_id`: other jobs may need the model"
        raise Refused(
            ErrorCode.BAD_REQUEST, "release_gpu goes with a pause of all work", field="release_gpu", hint=hint
        )
    paused = await services.store.pause(request, caller.name)
    return structs.replace(paused, releasing=services.lanes.release_gpu()) if request.release_gpu else paused
