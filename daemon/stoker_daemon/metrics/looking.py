"""How all is at the moment of a scrape."""

from stoker_daemon.handlers import health
from stoker_daemon.metrics.figures import Moment
from stoker_daemon.ports import Services
from stoker_protocol.requests import GetSnapshot


async def look(services: Services) -> Moment:
    """Ask those who know. Raises Refused: the store can't be read."""
    snapshot = await services.store.snapshot(GetSnapshot(id="", limit=1))
    sample = services.gpu.latest()
    return Moment(
        queue=snapshot.queue,
        ready=await services.store.ready_items(),
        lanes=services.lanes.lanes(),
        engines=[engine.facts() for engine in services.engines.values()],
        health=health.handle(services),
        disk_free=(await services.artifacts.space()).free,
        gpus=sample.gpus if sample else (),
    )
