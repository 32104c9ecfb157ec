"""Says who answers, what is spoken, and who the caller is here."""

from stoker_daemon.ports import Caller, Services
from stoker_protocol import codec
from stoker_protocol.jobs import MAX_ITEMS
from stoker_protocol.replies import Welcome
from stoker_protocol.requests import MAX_BLOB, MAX_CHUNK, MAX_PAGE, MAX_READ

FEATURES = ["events", "replay", "artifacts", "previews"]
LIMITS = {
    "body_bytes": codec.MAX_BODY,
    "depth": codec.MAX_DEPTH,
    "items": MAX_ITEMS,
    "metadata_bytes": codec.MAX_METADATA,
    "params_bytes": codec.MAX_PARAMS,
    "workflow_bytes": codec.MAX_WORKFLOW,
    "blob_bytes": MAX_BLOB,
    "chunk_bytes": MAX_CHUNK,
    "page": MAX_PAGE,
    "read_bytes": MAX_READ,
}


def handle(caller: Caller, services: Services) -> Welcome:
    """Answer `hello`."""
    return Welcome(
        daemon=services.daemon,
        versions=[codec.VERSION],
        features=FEATURES,
        limits=LIMITS,
        events=services.event_endpoints(),
        name=caller.name,
        role=caller.role.name.lower(),
        server_time_ms=services.clock.now_ms(),
    )
