"""What scripts read: the JSON of jobs, items, engines and errors; fields are added, never renamed."""

from typing import Any

import click
import msgspec

from stoker_client.cli.render import timestamp
from stoker_client.operations.watching import Update
from stoker_protocol import codec
from stoker_protocol.jobs import Artifact, Daemon, Failure, Item, ItemCounts, Job, Pause, Queue
from stoker_protocol.replies import Plan, SnapshotPage

_ENVELOPE = frozenset({"v", "seq", "prev", "at_ms"})


def print_json(shape: Any, *, err: bool = False) -> None:
    """One line of JSON, in UTF-8 whatever the terminal thinks; `err`: on the standard error stream."""
    click.echo(msgspec.json.encode(shape, enc_hook=str), err=err)


def error_shape(code: str, message: str, field: str, hint: str) -> dict[str, Any]:
    """An error as it goes to the standard error stream."""
    return {"error": {"code": code, "message": message, "field": field, "hint": hint}}


def job_shape(job: Job) -> dict[str, Any]:
    """A job; `status JOB` prints exactly this."""
    return {
        "job_id": job.job_id,
        "name": job.name,
        "state": job.state,
        "priority": job.priority,
        "engine": job.engine,
        "model": job.model,
        "recipe": job.recipe,
        "max_concurrency": job.max_concurrency,
        "client": job.client,
        "metadata": codec.unpack(job.metadata),
        "items": counts_shape(job.items),
        "paused": pause_shape(job.paused),
        "created_at": timestamp(job.created_at_ms),
        "started_at": _time(job.started_at_ms),
        "finished_at": _time(job.finished_at_ms),
        "error": failure_shape(job.error),
    }


def status_shape(page: SnapshotPage, ahead: Plan | None = None) -> dict[str, Any]:
    """What `status` without a job prints; `expected`: when each waiting job begins and is done, in seconds."""
    expected = ahead.jobs if ahead else []
    return {
        "expected": {job.job_id: {"start_s": job.start_s, "done_s": job.done_s} for job in expected},
        "jobs": [job_shape(job) for job in page.jobs],
        "queue": queue_shape(page.queue),
        "lanes": page.lanes,
        "daemon": daemon_shape(page.daemon),
    }


def update_shape(update: Update) -> dict[str, Any]:
    """What `watch` prints for each update: an event, the `state` of a job as the watch begins, or of the `link`."""
    if update.link:
        return {"type": "link", "link": update.link, **({"job": job_shape(update.job)} if update.job else {})}
    if update.event is None:
        return {"type": "state", "job": job_shape(update.job) if update.job else None}
    fields = msgspec.structs.asdict(update.event)
    shape: dict[str, Any] = {
        "type": update.event.__struct_config__.tag,
        "seq": update.event.seq,
        "at": timestamp(update.event.at_ms),
    }
    shape |= {name: _plain(value) for name, value in fields.items() if name not in _ENVELOPE}
    if "job" in shape and update.job:
        shape["job"] = job_shape(update.job)  # with the metadata, which events leave out
    return shape


def item_shape(item: Item) -> dict[str, Any]:
    """An item with its files."""
    return {
        "index": item.index,
        "custom_id": item.custom_id,
        "state": item.state,
        "attempts": item.attempts,
        "error": failure_shape(item.error),
        "artifacts": [artifact_shape(artifact) for artifact in item.artifacts],
        **({} if item.params is msgspec.UNSET else {"params": codec.unpack(item.params)}),
    }


def artifact_shape(artifact: Artifact) -> dict[str, Any]:
    """A file; `path` is relative to the daemon's data directory."""
    return {"path": artifact.path, "sha256": artifact.sha256, "bytes": artifact.bytes}


def counts_shape(items: ItemCounts) -> dict[str, int]:
    """How many items are in which state."""
    return msgspec.to_builtins(items)


def failure_shape(failure: Failure | None) -> dict[str, str] | None:
    """Why something failed, or null."""
    return {"kind": failure.kind, "message": failure.message} if failure else None


def pause_shape(pause: Pause | None) -> dict[str, str] | None:
    """Who holds work back and why, or null."""
    return {"reason": pause.reason, "author": pause.author, "at": timestamp(pause.at_ms)} if pause else None


def queue_shape(queue: Queue) -> dict[str, Any]:
    """What waits and runs."""
    return {
        "paused": pause_shape(queue.paused),
        "pending": queue.pending,
        "running": queue.running,
        "active_jobs": queue.active_jobs,
    }


def daemon_shape(daemon: Daemon) -> dict[str, Any]:
    """Who answered."""
    return {
        "version": daemon.version,
        "instance_id": daemon.instance_id,
        "boot": daemon.boot,
        "started_at": timestamp(daemon.started_at_ms),
        "pid": daemon.pid,
    }


def _plain(value: Any) -> Any:
    match value:
        case Job():
            return job_shape(value)
        case Pause():
            return pause_shape(value)
        case _:
            return value


def _time(ms: int | None) -> str | None:
    return None if ms is None else timestamp(ms)
