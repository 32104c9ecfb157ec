"""Lists the engines with what they can do and how they are."""

from stoker_daemon.ports import Services
from stoker_protocol.replies import EnginesReply


def handle(services: Services) -> EnginesReply:
    """Answer `engines`."""
    return EnginesReply(engines=[engine.facts() for engine in services.engines.values()])
