"""Shows the state as of one moment, for a subscriber to begin from."""

from stoker_daemon.ports import Services
from stoker_protocol.replies import SnapshotPage
from stoker_protocol.requests import GetSnapshot


async def handle(request: GetSnapshot, services: Services) -> SnapshotPage:
    """Answer `snapshot`."""
    stored = await services.store.snapshot(request)
    return SnapshotPage(
        seq=stored.seq,
        daemon=services.daemon,
        queue=stored.queue,
        lanes=services.lanes.lanes(),
        jobs=stored.jobs,
        cursor=stored.cursor,
    )
