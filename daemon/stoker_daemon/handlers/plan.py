"""Tells which runs are to come, in which order and why."""

from stoker_daemon.ports import Services
from stoker_protocol.replies import Plan


async def handle(services: Services) -> Plan:
    """Answer `plan`."""
    return await services.planning.plan()
