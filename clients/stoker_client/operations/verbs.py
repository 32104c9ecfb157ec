"""The verbs that ask once: submit, look, change, fetch."""

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, Literal, TypedDict

from msgspec import UNSET, structs

from stoker_client.errors import BadReply
from stoker_client.operations.calling import Caller
from stoker_client.operations.effects import AppendFile, BeginFile, Emit, FinishFile, Now, Operation
from stoker_protocol import codec
from stoker_protocol import replies as re
from stoker_protocol import requests as ask
from stoker_protocol.jobs import Artifact, Engine, ItemState, Job, JobState, OnInterrupt, Priority

ItemLike = str | Mapping[str, Any]
"""A prompt, or a map with `params` and perhaps a `custom_id`."""


Scope = Literal["queued", "all"]
"""Which jobs a cancel without names means: those that have not begun, or all that are not final."""


class SubmitOptions(TypedDict, total=False):
    """What may be said with a submit; the fields of the request, with plain values. None means not said."""

    engine: str | None
    model: str | None
    params: Mapping[str, Any] | None
    name: str | None
    priority: str | None
    metadata: Mapping[str, Any] | None
    on_interrupt: str | None
    batch_size: int | None
    max_attempts: int | None
    timeout_s: float | None
    no_progress_s: float | None
    dry_run: bool | None


def hello(caller: Caller) -> Operation[re.Welcome]:
    """Who answers."""
    return caller.call(ask.Hello(id=caller.next_id()), re.Welcome)


def ping(caller: Caller) -> Operation[float]:
    """Seconds there and back."""
    began_s = yield Now()
    yield from caller.call(ask.Ping(id=caller.next_id()), re.Pong)
    return (yield Now()) - began_s


def health(caller: Caller) -> Operation[re.HealthReport]:
    """Whether a job can make progress."""
    return caller.call(ask.Health(id=caller.next_id()), re.HealthReport)


def submit(caller: Caller, job_id: str, items: Sequence[ItemLike], options: SubmitOptions) -> Operation[re.Submitted]:
    """Submit a job."""
    given: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
    for name in ("params", "metadata"):
        if name in given:
            given[name] = codec.pack(given[name])
    if "priority" in given:
        given["priority"] = Priority(given["priority"])
    if "on_interrupt" in given:
        given["on_interrupt"] = OnInterrupt(given["on_interrupt"])
    request = ask.Submit(id=caller.next_id(), job_id=job_id, items=[_item(item) for item in items], **given)
    return caller.call(request, re.Submitted)


def job(caller: Caller, job_id: str) -> Operation[Job]:
    """One job."""
    reply = yield from caller.call(ask.GetJob(id=caller.next_id(), job_id=job_id), re.JobReply)
    return reply.job


def jobs(caller: Caller, states: Sequence[str]) -> Operation[None]:
    """Emit each job, newest first."""
    cursor, wanted = "", tuple(JobState(state) for state in states)
    while True:
        request = ask.ListJobs(id=caller.next_id(), states=wanted, cursor=cursor)
        page = yield from caller.call(request, re.JobsPage)
        for one in page.jobs:
            yield Emit(one)
        cursor = page.cursor
        if not cursor:
            return


def items(caller: Caller, job_id: str, states: Sequence[str], *, with_params: bool) -> Operation[None]:
    """Emit each item of a job."""
    cursor, wanted = "", tuple(ItemState(state) for state in states)
    while True:
        request = ask.ListItems(
            id=caller.next_id(), job_id=job_id, states=wanted, with_params=with_params, limit=500, cursor=cursor
        )
        page: re.ItemsPage = yield from caller.call(request, re.ItemsPage)
        for one in page.items:
            yield Emit(one)
        cursor = page.cursor
        if not cursor:
            return


def cancel(caller: Caller, job_ids: Sequence[str] | None, scope: Scope | None) -> Operation[re.Cancelled]:
    """Cancel the named jobs, or those in the scope."""
    named = list(job_ids) if job_ids else None
    return caller.call(ask.Cancel(id=caller.next_id(), job_ids=named, scope=scope), re.Cancelled)


def retry(caller: Caller, job_id: str, states: Sequence[str]) -> Operation[re.Retried]:
    """Send items back to the queue."""
    seen = yield from job(caller, job_id)
    wanted = tuple(ItemState(state) for state in states)
    request = ask.Retry(id=caller.next_id(), job_id=job_id, rev=seen.rev, states=wanted)
    return (yield from caller.call(request, re.Retried))


def pause(caller: Caller, job_id: str | None, reason: str, *, interrupt: bool) -> Operation[re.Paused]:
    """Hold a job or the queue back."""
    request = ask.PauseWork(id=caller.next_id(), job_id=job_id, reason=reason, interrupt=interrupt)
    return caller.call(request, re.Paused)


def resume(caller: Caller, job_id: str | None) -> Operation[re.Resumed]:
    """Let a job or the queue go on."""
    return caller.call(ask.ResumeWork(id=caller.next_id(), job_id=job_id), re.Resumed)


def snapshot(caller: Caller, job_ids: Sequence[str] | None, *, include_final: bool) -> Operation[re.SnapshotPage]:
    """The state with all jobs asked for, as of the first page's seq: later jobs may already be newer than that."""
    pages = yield from snapshot_pages(caller, job_ids, include_final=include_final)
    return structs.replace(pages[0], jobs=[job for page in pages for job in page.jobs], cursor="")


def snapshot_pages(
    caller: Caller, job_ids: Sequence[str] | None, *, include_final: bool
) -> Operation[list[re.SnapshotPage]]:
    """The state with all jobs asked for, page by page, each as of its own seq."""
    pages: list[re.SnapshotPage] = []
    named = list(job_ids) if job_ids else None
    while not pages or pages[-1].cursor:
        cursor = pages[-1].cursor if pages else ""
        request = ask.GetSnapshot(id=caller.next_id(), job_ids=named, include_final=include_final, cursor=cursor)
        pages.append((yield from caller.call(request, re.SnapshotPage)))
    return pages


def artifacts(caller: Caller, job_id: str) -> Operation[None]:
    """Emit each artifact of a job."""
    cursor = ""
    while True:
        request = ask.ListArtifacts(id=caller.next_id(), job_id=job_id, cursor=cursor)
        page = yield from caller.call(request, re.ArtifactsPage)
        for one in page.artifacts:
            yield Emit(one)
        cursor = page.cursor
        if not cursor:
            return


def fetch(caller: Caller, job_id: str) -> Operation[None]:
    """Bring each artifact of a job into the caller's folder and emit its path; what is there already is left.

    Raises:
        BadReply: The bytes that came are not those that were made.
    """
    listing = artifacts(caller, job_id)
    answer: Any = None
    while True:
        try:
            effect = listing.send(answer)
        except StopIteration:
            return
        if not isinstance(effect, Emit):
            answer = yield effect
            continue
        answer = None
        yield from _fetch_one(caller, effect.value)


def engines(caller: Caller) -> Operation[list[Engine]]:
    """The engines."""
    reply = yield from caller.call(ask.ListEngines(id=caller.next_id()), re.EnginesReply)
    return reply.engines


def describe(caller: Caller) -> Operation[re.Description]:
    """The wire as JSON Schema."""
    return caller.call(ask.Describe(id=caller.next_id()), re.Description)


def shutdown(caller: Caller, reason: str) -> Operation[re.ShuttingDown]:
    """Stop the daemon."""
    return caller.call(ask.Shutdown(id=caller.next_id(), reason=reason), re.ShuttingDown)


def _fetch_one(caller: Caller, artifact: Artifact) -> Operation[None]:
    name = PurePosixPath(artifact.path).name
    path = None
    if (yield BeginFile(name, artifact.sha256)):
        offset = 0
        while offset < artifact.bytes:
            request = ask.ReadArtifact(id=caller.next_id(), artifact_id=artifact.artifact_id, offset=offset)
            chunk = yield from caller.call(request, re.ArtifactBytes)
            if not chunk.data:
                raise BadReply(f"{artifact.path} ends after {offset} of {artifact.bytes} bytes")
            yield AppendFile(chunk.data)
            offset += len(chunk.data)
    path = yield FinishFile()
    if path is None:
        raise BadReply(f"{artifact.path} came with other bytes than were made")
    yield Emit(path)


def _item(item: ItemLike) -> ask.ItemSpec:
    if isinstance(item, str):
        return ask.ItemSpec(params=codec.pack({"prompt": item}))
    params = codec.pack(item["params"]) if "params" in item else UNSET
    return ask.ItemSpec(params=params, custom_id=item.get("custom_id"))
