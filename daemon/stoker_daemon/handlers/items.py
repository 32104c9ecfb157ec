"""Lists the items of a job with what they made."""

from stoker_daemon.ports import Services
from stoker_protocol.replies import ItemsPage
from stoker_protocol.requests import ListItems


async def handle(request: ListItems, services: Services) -> ItemsPage:
    """Answer `items`.

    Raises:
        Refused: `not_found`.
    """
    return await services.store.items(request)
