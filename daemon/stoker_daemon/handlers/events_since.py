"""Gives committed events again, for whoever missed some."""

from stoker_daemon.ports import Services
from stoker_protocol.replies import EventsPage
from stoker_protocol.requests import EventsSince


async def handle(request: EventsSince, services: Services) -> EventsPage:
    """Answer `events_since`."""
    return await services.store.events_since(request)
