"""The summary file of a final job: what it was, how it ended, and what became of each item."""

from typing import Any

from msgspec import to_builtins

from stoker_daemon.jobs.records import JobFolder
from stoker_daemon.outputs.layout import rfc3339
from stoker_daemon.outputs.plain_json import json_file
from stoker_protocol import codec
from stoker_protocol.jobs import Artifact, Item, Job


def summary(folder: JobFolder) -> bytes:
    """The contents of the summary file; the same job gives the same bytes."""
    files = {
        "count": folder.files.artifacts,
        "bytes": folder.files.bytes,
        "items": [_item(item) for item in folder.items],
    }
    if len(folder.items) < folder.job.items.total:
        files["items_not_listed"] = folder.job.items.total - len(folder.items)
    return json_file({**_job(folder.job), "params": codec.unpack(folder.params), "artifacts": files})


def _job(job: Job) -> dict[str, Any]:
    return {
        "job_id": job.job_id,
        "name": job.name,
        "state": job.state.value,
        "priority": job.priority.value,
        "engine": job.engine,
        "model": job.model,
        "client": job.client,
        "metadata": codec.unpack(job.metadata),
        "items": to_builtins(job.items),
        "error": to_builtins(job.error),
        "created_at": _time(job.created_at_ms),
        "started_at": _time(job.started_at_ms),
        "finished_at": _time(job.finished_at_ms),
    }


def _item(item: Item) -> dict[str, Any]:
    """An item with the parameters of its own; those that all share are the job's."""
    known = {
        "custom_id": item.custom_id,
        "params": codec.unpack(item.params) or None,
        "error": to_builtins(item.error),
    }
    return {
        "index": item.index,
        "state": item.state.value,
        "attempts": item.attempts,
        "files": [_file(artifact) for artifact in item.artifacts],
        **{name: value for name, value in known.items() if value is not None},
    }


def _file(artifact: Artifact) -> dict[str, Any]:
    return {
        "output": artifact.output,
        "path": artifact.path,
        "media_type": artifact.media_type,
        "sha256": artifact.sha256,
        "bytes": artifact.bytes,
    }


def _time(time_ms: int | None) -> str | None:
    return None if time_ms is None else rfc3339(time_ms)
