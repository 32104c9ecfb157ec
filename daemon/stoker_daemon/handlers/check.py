"""Looks through what the daemon keeps on disk."""

from stoker_daemon.ports import Services
from stoker_protocol.replies import Checked


async def handle(services: Services) -> Checked:
    """Answer `check`."""
    return Checked(findings=await services.check())
