"""Tells which runs are to come, in which order and why."""

from stoker_daemon.ports import Services
from stoker_protocol.replies import Plan
from stoker_protocol.requests import GetPlan


async def handle(request: GetPlan, services: Services) -> Plan:
    """Answer `plan`."""
    return await services.planning.plan(request.grouping)
