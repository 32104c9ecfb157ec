"""Answers at once, whatever else there is to do."""

from stoker_daemon.ports import Services
from stoker_protocol.replies import Pong


def handle(services: Services) -> Pong:
    """Answer `ping`."""
    return Pong(server_time_ms=services.clock.now_ms())
