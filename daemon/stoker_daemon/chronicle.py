"""Tells the log what became of jobs, engines and the queue, with the ids by which it can be searched."""

from collections.abc import Mapping
from typing import Any

import structlog

from stoker_daemon.jobs.records import Commit
from stoker_protocol import codec
from stoker_protocol.events import (
    AnyEvent,
    EngineDown,
    JobCancelled,
    JobPaused,
    JobSubmitted,
    ModelLoaded,
    QueuePaused,
    QueueResumed,
    RunEscalated,
    RunFinished,
)
from stoker_protocol.jobs import ItemState, Job

log = structlog.get_logger()


def tell(commit: Commit) -> None:
    """Log what a commit tells of; for `JobStore.subscribe`."""
    for event in commit.events:
        _tell(codec.decode_event(event.body))


def _tell(event: AnyEvent) -> None:
    match event:
        case JobSubmitted(job=job):
            log.info("a job was accepted", **_ids(job), items=job.items.total, priority=job.priority.value)
        case RunFinished(job=job):
            _tell_outcomes(event)
            if job.state.is_final:
                _tell_end(job)
        case JobCancelled(job=job, author=author):
            log.info("a job was cancelled", **_ids(job), by=author, dropped=event.dropped, stopping=event.stopping)
        case JobPaused(job=job) if job.paused:
            log.info("a job is held back", **_ids(job), by=job.paused.author, why=job.paused.reason)
        case QueuePaused(paused=paused):
            log.info("all work is held back", by=paused.author, why=paused.reason)
        case QueueResumed(author=author):
            log.info("work goes on", by=author)
        case ModelLoaded(lane=lane, engine=engine, model=model, seconds=seconds):
            log.info("a model was loaded", lane=lane, engine=engine, model=model, seconds=seconds)
        case RunEscalated(lane=lane, engine=engine, run_id=run_id, rung=rung, reason=reason):
            log.warning("a run does not stop by itself", lane=lane, engine=engine, run=run_id, rung=rung, why=reason)
        case EngineDown(lane=lane, engine=engine, detail=detail):
            log.error("an engine is down", lane=lane, engine=engine, why=detail)
        case _:
            pass


def _tell_outcomes(event: RunFinished) -> None:
    """Those that need somebody's eye; successes are counted in the job's end."""
    for each in event.outcomes:
        if each.error is None:
            continue
        facts = {**_ids(event.job), "run": event.run_id, "item": each.index, "attempt": each.attempt}
        facts |= {"kind": each.error.kind, "why": each.error.message}
        if each.state is ItemState.PENDING:
            log.info("an item will be tried again", **facts)
        else:
            log.warning(f"an item was {each.state}" if each.state is ItemState.REJECTED else "an item failed", **facts)


def _tell_end(job: Job) -> None:
    items = job.items
    facts = {"state": job.state.value, "succeeded": items.succeeded, "failed": items.failed, "rejected": items.rejected}
    log.info("a job ended", **_ids(job), **facts)


def _ids(job: Job) -> Mapping[str, Any]:
    return {"job": job.job_id, "client": job.client, "engine": job.engine, "model": job.model}
