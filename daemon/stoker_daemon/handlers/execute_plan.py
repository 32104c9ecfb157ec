"""Has a plan carried out exactly as it was shown."""

from stoker_daemon.ports import Caller, Services
from stoker_protocol.replies import PlanBegun
from stoker_protocol.requests import ExecutePlan


async def handle(request: ExecutePlan, caller: Caller, services: Services) -> PlanBegun:
    """Answer `execute_plan`.

    Raises:
        Refused: `stale_plan`: what it was made of has changed.
    """
    return await services.planning.execute(request.token, caller.name)
