"""The summary file of a final job: what it was, how it ended, and every file that it made."""

from itertools import groupby
from operator import attrgetter
from typing import Any

from msgspec import to_builtins

from stoker_daemon.jobs.records import JobFolder
from stoker_daemon.outputs.layout import rfc3339
from stoker_daemon.outputs.plain_json import json_file
from stoker_protocol import codec
from stoker_protocol.jobs import Artifact, Job


def summary(folder: JobFolder) -> bytes:
    """The contents of the summary file; the same job gives the same bytes."""
    artifacts = sorted(folder.artifacts, key=attrgetter("index", "output"))
    files = {
        "count": len(artifacts),
        "bytes": sum(artifact.bytes for artifact in artifacts),
        "items": [
            {"index": index, "files": [_file(artifact) for artifact in group]}
            for index, group in groupby(artifacts, key=attrgetter("index"))
        ],
    }
    return json_file({**_job(folder.job), "artifacts": files})


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
