"""Tells the log what became of jobs, engines and the queue, with the ids by which it can be searched."""

from collections.abc import Mapping
from typing import Any

import structlog

from stoker_daemon.jobs.records import Commit
from stoker_protocol import codec
from stoker_protocol.events import (
    AnyEvent,
    JobCancelled,
    JobPaused,
    JobSubmitted,
    ModelLoaded,
    QueuePaused,
    QueueResumed,
    RunFinished,
)
from stoker_protocol.jobs import ItemState, Job

log = structlog.get_logger()


OF_NOTE = frozenset({"job_paused", "queue_paused", "queue_resumed"})
"""Events that people should read of wherever the log goes."""
OF_COURSE = frozenset({"job_submitted", "job_cancelled", "run_finished", "model_loaded"})
"""Those of plain work: as many as there is work, and of use only to who searches."""
FAILURE = b"\xa7message"
"""What the body of an event holds if it tells of a failure: a key of `Failure`, as msgpack writes it."""


class Chronicle:
    """Logs what commits tell of; `in_full` also what goes well, for a log that is searched by ids."""

    def __init__(self, *, in_full: bool) -> None:
        self._in_full = in_full

    def tell(self, commit: Commit) -> None:
        """For `JobStore.subscribe`."""
        for event in commit.events:
            kind = event.topic.rpartition("/")[2]
            is_failure = kind == "run_finished" and FAILURE in event.body
            if kind in OF_NOTE or is_failure or (self._in_full and kind in OF_COURSE):
                self._tell(codec.decode_event(event.body))

    def _tell(self, event: AnyEvent) -> None:
        match event:
            case JobSubmitted(job=job):
                log.info("a job was accepted", **_ids(job), items=job.items.total, priority=job.priority.value)
            case RunFinished(job=job):
                _tell_outcomes(event, in_full=self._in_full)
                if job.state.is_final and self._in_full:
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
            case _:
                pass


def _tell_outcomes(event: RunFinished, *, in_full: bool) -> None:
    """Those that need somebody's eye; successes are counted in the job's end."""
    for each in event.outcomes:
        if each.error is None:
            continue
        facts = {**_ids(event.job), "run": event.run_id, "item": each.index, "attempt": each.attempt}
        facts |= {"kind": each.error.kind, "why": each.error.message}
        if each.state is not ItemState.PENDING:
            log.warning(f"an item was {each.state}" if each.state is ItemState.REJECTED else "an item failed", **facts)
        elif in_full:
            log.info("an item will be tried again", **facts)


def _tell_end(job: Job) -> None:
    items = job.items
    facts = {"state": job.state.value, "succeeded": items.succeeded, "failed": items.failed, "rejected": items.rejected}
    log.info("a job ended", **_ids(job), **facts)


def _ids(job: Job) -> Mapping[str, Any]:
    return {"job": job.job_id, "client": job.client, "engine": job.engine, "model": job.model}
