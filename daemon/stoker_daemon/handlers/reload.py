"""Has the configuration read again."""

from stoker_daemon.ports import Services
from stoker_protocol.replies import Reloaded


async def handle(services: Services) -> Reloaded:
    """Answer `reload`. Raises Refused: `bad_request`: the configuration makes no sense; the old one stays in force."""
    return Reloaded(changes=await services.reload())
