"""What a new daemon does before it takes work: settle the runs that the end of an earlier one cut short."""

import structlog

from stoker_daemon.ports import Artifacts, JobStore

log = structlog.get_logger()


async def settle_interrupted(store: JobStore, artifacts: Artifacts) -> int:
    """Remove what those runs left half-done and hand their items back; how many runs there were."""
    runs = await store.interrupted()
    for run in runs:
        removed = await artifacts.forget_unknown(run.members, run.known_paths)
        await store.hand_back(run)
        log.info("a run was cut short", run=run.run_id, lane=run.lane, items=len(run.members), files_removed=removed)
    return len(runs)
