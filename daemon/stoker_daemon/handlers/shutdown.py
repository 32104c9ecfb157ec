"""Begins a graceful stop."""

from stoker_daemon.ports import Services
from stoker_protocol.replies import ShuttingDown
from stoker_protocol.requests import Shutdown


def handle(request: Shutdown, services: Services) -> ShuttingDown:
    """Answer `shutdown`; the stop begins after the reply is on its way."""
    services.shut_down(request.reason or "asked to by a client")
    return ShuttingDown(boot=services.daemon.boot)
