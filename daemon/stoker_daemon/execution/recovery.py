"""What a new daemon does before it takes work: settle what the end of an earlier one cut short."""

from collections.abc import Callable

import structlog

from stoker_daemon.execution.naming import ids_of
from stoker_daemon.jobs.records import Interrupted
from stoker_daemon.ports import Artifacts, JobStore

log = structlog.get_logger()


async def settle_interrupted(store: JobStore, artifacts: Artifacts, take_back: Callable[[Interrupted], bool]) -> int:
    """End cancels and retries cut short, remove what runs left half-done, hand their items back; how many runs.

    Runs that `take_back` takes are left to it: their engines may have gone on with them.
    """
    if swept := await store.finish_sweeps():
        log.info("ended cancels and retries that were cut short", jobs=swept)
    runs = await store.interrupted()
    for run in runs:
        if take_back(run):
            continue
        removed = await artifacts.forget_unknown(run.members, run.known_paths)
        await store.hand_back(run)
        facts = {"lane": run.lane, "items": len(run.members), "files_removed": removed}
        log.info("a run was cut short", **ids_of(run), **facts)
    return len(runs)
