"""What `/api/jobs` says: the queue and the history as one list of jobs."""

from typing import Any

from tests.fakes.comfyui.prompts import Entry, Prompts

Job = dict[str, Any]

STATUSES = ("pending", "in_progress", "completed", "failed", "cancelled")
_SHOWABLE = ("images", "video", "audio")


class BadFilter(Exception):
    """A filter that the server doesn't know; the text says so."""


def listing(prompts: Prompts, query: dict[str, str]) -> dict[str, Any]:
    """A page of all jobs.

    Raises:
        BadFilter: see there.
    """
    statuses = [each.strip() for each in query.get("status", ",".join(STATUSES)).split(",")]
    if unknown := [each for each in statuses if each not in STATUSES]:
        raise BadFilter(f"Invalid status value(s): {', '.join(unknown)}. Valid values: {', '.join(STATUSES)}")
    offset = _whole(query, "offset", 0)
    limit = _whole(query, "limit", 1)
    jobs = [job for job in _all(prompts) if job["status"] in statuses]
    if workflow := query.get("workflow_id"):
        jobs = [job for job in jobs if job.get("workflow_id") == workflow]
    key = _duration if query.get("sort_by") == "execution_duration" else _created
    jobs.sort(key=key, reverse=query.get("sort_order", "desc") == "desc")
    start = offset or 0
    page = jobs[start:] if limit is None else jobs[start : start + limit]
    more = start + len(page) < len(jobs)
    return {"jobs": page, "pagination": {"offset": start, "limit": limit, "total": len(jobs), "has_more": more}}


def single(prompts: Prompts, prompt_id: str) -> Job | None:
    """One job, with its outputs if it ended."""
    if (entry := prompts.history().get(prompt_id)) is not None:
        workflow = {"prompt": entry["prompt"][2], "extra_data": entry["prompt"][3]}
        more = {"outputs": entry["outputs"], "execution_status": entry["status"], "workflow": workflow}
        return _ended(prompt_id, entry) | more
    return next((job for job in _queued(prompts) if job["id"] == prompt_id), None)


def _all(prompts: Prompts) -> list[Job]:
    return _queued(prompts) + [_ended(prompt_id, entry) for prompt_id, entry in prompts.history().items()]


def _queued(prompts: Prompts) -> list[Job]:
    running = [_waiting(entry, "in_progress") for entry in prompts.running]
    return running + [_waiting(entry, "pending") for entry in prompts.pending()]


def _waiting(entry: Entry, status: str) -> Job:
    job = {"id": entry.prompt_id, "status": status, "priority": entry.number}
    return job | _origin(entry.extra_data) | {"outputs_count": 0}


def _ended(prompt_id: str, entry: dict[str, Any]) -> Job:
    messages = dict(entry["status"]["messages"])
    job: Job = {"id": prompt_id, "status": "completed", "priority": entry["prompt"][0]} | _origin(entry["prompt"][3])
    if "execution_interrupted" in messages:
        job["status"] = "cancelled"
    elif entry["status"]["status_str"] == "error":
        job |= {"status": "failed", "execution_error": messages["execution_error"]}
    job["execution_start_time"] = messages["execution_start"]["timestamp"]
    job["execution_end_time"] = entry["status"]["messages"][-1][1]["timestamp"]
    shown: list[Job] = [
        {**item, "nodeId": node_id, "mediaType": medium}
        for node_id, output in entry["outputs"].items()
        for medium, items in output.items()
        if medium != "animated"
        for item in items
        if isinstance(item, dict)
    ]
    job["outputs_count"] = len(shown)
    previews = sorted(
        (each for each in shown if each["mediaType"] in _SHOWABLE), key=lambda each: each["type"] != "output"
    )
    return job | ({"preview_output": previews[0]} if previews else {})


def _origin(extra_data: dict[str, Any]) -> Job:
    workflow = extra_data.get("extra_pnginfo", {}).get("workflow", {}).get("id")
    return {"create_time": extra_data["create_time"]} | ({} if workflow is None else {"workflow_id": workflow})


def _created(job: Job) -> int:
    return job["create_time"]


def _duration(job: Job) -> int:
    return job.get("execution_end_time", 0) - job.get("execution_start_time", 0)


def _whole(query: dict[str, str], name: str, least: int) -> int | None:
    if name not in query:
        return None
    kind = "positive" if least else "non-negative"
    if not query[name].isdecimal() or int(query[name]) < least:
        raise BadFilter(f"{name} must be a {kind} integer")
    return int(query[name])
