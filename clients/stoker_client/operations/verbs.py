"""The verbs that ask once: submit, look, change, fetch."""

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Any, Literal, TypedDict, TypeVar

from msgspec import UNSET, Raw, structs

from stoker_client.errors import BadReply, BadRequest, NotFound
from stoker_client.operations.calling import Caller
from stoker_client.operations.effects import AppendFile, BeginFile, Emit, FinishFile, Now, Operation
from stoker_protocol import codec
from stoker_protocol import replies as re
from stoker_protocol import requests as ask
from stoker_protocol.events import AnyEvent
from stoker_protocol.jobs import (
    Artifact,
    Engine,
    ItemState,
    Job,
    JobState,
    Level,
    OnInterrupt,
    Priority,
    Profile,
    Recipe,
)
from stoker_protocol.plans import Grouping

E = TypeVar("E", bound=StrEnum)
P = TypeVar("P", re.JobsPage, re.ItemsPage, re.ArtifactsPage, re.OutputsPage)
T = TypeVar("T")

ItemLike = str | Mapping[str, Any]
"""A prompt, or a map with `params` and perhaps a `custom_id`."""

_LONGEST_NAME = 200
_SHOWN = 5
"""Jobs that are listed where it is not clear which is meant."""

Scope = Literal["queued", "all"]
"""Which jobs a cancel without names means: those that have not begun, or all that are not final."""


class SubmitOptions(TypedDict, total=False):
    """What may be said with a submit; the fields of the request, with plain values. None means not said."""

    engine: str | None
    model: str | None
    recipe: str | None
    workflow: Mapping[str, Any] | None
    profile: str | None
    params: Mapping[str, Any] | None
    name: str | None
    priority: str | None
    metadata: Mapping[str, Any] | None
    on_interrupt: str | None
    batch_size: int | None
    level: Level | None
    max_concurrency: int | None
    max_attempts: int | None
    timeout_s: float | None
    no_progress_s: float | None
    more: bool | None
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


def check(caller: Caller) -> Operation[list[re.Finding]]:
    """Whether what the daemon keeps on its disk is sound."""
    return (yield from caller.call(ask.Check(id=caller.next_id()), re.Checked)).findings


def submit(caller: Caller, job_id: str, items: Sequence[ItemLike], options: SubmitOptions) -> Operation[re.Submitted]:
    """Submit a job."""
    given: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
    for name in given.keys() & {"params", "metadata", "workflow"}:
        given[name] = _pack(given[name], name)
    for name, kind in (("priority", Priority), ("on_interrupt", OnInterrupt)):
        if name in given:
            given[name] = _word(kind, given[name], name)
    request = ask.Submit(id=caller.next_id(), job_id=job_id, items=_items(items), **given)
    return caller.call(request, re.Submitted)


def append(caller: Caller, job_id: str, at: int, items: Sequence[ItemLike]) -> Operation[re.Appended]:
    """Add items to an open job, the first of which gets the index `at`."""
    specs = [_item(item, f"items[{index}]") for index, item in enumerate(items)]
    request = ask.Append(id=caller.next_id(), job_id=job_id, at=at, items=specs)
    return caller.call(request, re.Appended)


def seal(caller: Caller, job_id: str) -> Operation[re.Sealed]:
    """Close an open job."""
    return caller.call(ask.Seal(id=caller.next_id(), job_id=job_id), re.Sealed)


def job(caller: Caller, job_id: str) -> Operation[Job]:
    """One job."""
    reply = yield from caller.call(ask.GetJob(id=caller.next_id(), job_id=job_id), re.JobReply)
    return reply.job


def find(caller: Caller, said: str) -> Operation[Job]:
    """The job that a person means by an id, the beginning of one, or a name; an id goes before all else.

    Raises:
        NotFound: No job is called so.
        BadRequest: Several are.
    """
    try:
        return (yield from job(caller, said))
    except (NotFound, BadRequest) as error:
        if not 0 < len(said) <= _LONGEST_NAME:
            raise
        hint = error.hint if isinstance(error, NotFound) else "`stoker status --all` lists them"
    page = yield from caller.call(ask.ListJobs(id=caller.next_id(), called=said, limit=_SHOWN + 1), re.JobsPage)
    # A daemon that is older than this filter sends its newest jobs.
    found = [one for one in page.jobs if one.name == said or one.job_id.startswith(said)]
    if len(found) > 1:
        raise _ambiguous(said, found)
    if not found:
        raise NotFound("not_found", f"no job has the id or the name {said!r}", field="job_id", hint=hint)
    return found[0]


def jobs(caller: Caller, states: Sequence[str]) -> Operation[None]:
    """Emit each job, newest first."""
    request = ask.ListJobs(id=caller.next_id(), states=_words(JobState, states))
    return _page_by_page(caller, request, re.JobsPage, lambda page: page.jobs)


def items(caller: Caller, job_id: str, states: Sequence[str], *, with_params: bool) -> Operation[None]:
    """Emit each item of a job."""
    wanted = _words(ItemState, states)
    request = ask.ListItems(id=caller.next_id(), job_id=job_id, states=wanted, with_params=with_params, limit=500)
    return _page_by_page(caller, request, re.ItemsPage, lambda page: page.items)


def cancel(caller: Caller, job_ids: Sequence[str] | None, scope: Scope | None) -> Operation[re.Cancelled]:
    """Cancel the named jobs, or those in the scope."""
    named = list(job_ids) if job_ids else None
    return caller.call(ask.Cancel(id=caller.next_id(), job_ids=named, scope=scope), re.Cancelled)


def retry(caller: Caller, job_id: str, states: Sequence[str]) -> Operation[re.Retried]:
    """Send items back to the queue."""
    wanted = _words(ItemState, states)
    seen = yield from job(caller, job_id)
    request = ask.Retry(id=caller.next_id(), job_id=job_id, rev=seen.rev, states=wanted)
    return (yield from caller.call(request, re.Retried))


def move(caller: Caller, job_id: str, priority: str | None, *, front: bool) -> Operation[re.Moved]:
    """Give a job another priority or the first place in it."""
    seen = yield from job(caller, job_id)
    wanted = _word(Priority, priority, "priority") if priority else None
    request = ask.Move(id=caller.next_id(), job_id=job_id, rev=seen.rev, priority=wanted, front=front)
    return (yield from caller.call(request, re.Moved))


def pause(
    caller: Caller, job_id: str | None, reason: str, *, interrupt: bool, release_gpu: bool
) -> Operation[re.Paused]:
    """Hold a job or the queue back."""
    request = ask.PauseWork(
        id=caller.next_id(), job_id=job_id, reason=reason, interrupt=interrupt, release_gpu=release_gpu
    )
    return caller.call(request, re.Paused)


def resume(caller: Caller, job_id: str | None) -> Operation[re.Resumed]:
    """Let a job or the queue go on."""
    return caller.call(ask.ResumeWork(id=caller.next_id(), job_id=job_id), re.Resumed)


def snapshot(caller: Caller, job_ids: Sequence[str] | None, *, include_final: bool) -> Operation[re.SnapshotPage]:
    """The state with all jobs asked for, as of the first page's seq: later jobs may already be newer than that."""
    pages = yield from snapshot_pages(caller, job_ids, include_final=include_final)
    return structs.replace(pages[0], jobs=[job for page in pages for job in page.jobs], cursor="")


def snapshot_pages(
    caller: Caller, job_ids: Sequence[str] | None, *, include_final: bool = False, ended_since_ms: int | None = None
) -> Operation[list[re.SnapshotPage]]:
    """The state with all jobs asked for, page by page, each as of its own seq."""
    pages: list[re.SnapshotPage] = []
    named = list(job_ids) if job_ids is not None else None
    while not pages or pages[-1].cursor:
        request = ask.GetSnapshot(
            id=caller.next_id(),
            job_ids=named,
            include_final=include_final,
            ended_since_ms=ended_since_ms,
            cursor=pages[-1].cursor if pages else "",
        )
        pages.append((yield from caller.call(request, re.SnapshotPage)))
    return pages


def artifacts(caller: Caller, job_id: str) -> Operation[None]:
    """Emit each artifact of a job."""
    request = ask.ListArtifacts(id=caller.next_id(), job_id=job_id)
    return _page_by_page(caller, request, re.ArtifactsPage, lambda page: page.artifacts)


def fetch(caller: Caller, job_id: str) -> Operation[None]:
    """Bring each artifact of a job into the caller's folder and emit its path; what is there already is left.

    Raises:
        BadReply: The bytes that came are not those that were made, or their name is none for a file.
    """
    request = ask.ListArtifacts(id=caller.next_id(), job_id=job_id)
    return _page_by_page(
        caller, request, re.ArtifactsPage, lambda page: page.artifacts, lambda artifact: _fetch_one(caller, artifact)
    )


def outputs(caller: Caller, job_id: str | None) -> Operation[None]:
    """Emit what each job has on disk, or the one named."""
    request = ask.ListOutputs(id=caller.next_id(), job_id=job_id)
    return _page_by_page(caller, request, re.OutputsPage, lambda page: page.jobs)


def output_totals(caller: Caller) -> Operation[re.OutputsPage]:
    """What all files amount to, and the disk they are on."""
    return caller.call(ask.ListOutputs(id=caller.next_id(), with_totals=True, limit=1), re.OutputsPage)


def clean_outputs(caller: Caller, older_than_s: float, *, dry_run: bool) -> Operation[re.OutputsCleaned]:
    """Remove the files of old jobs, moment by moment."""
    jobs = artifacts = size = 0
    while True:
        request = ask.CleanOutputs(id=caller.next_id(), older_than_ms=round(older_than_s * 1000), dry_run=dry_run)
        some = yield from caller.call(request, re.OutputsCleaned)
        jobs, artifacts, size = jobs + some.jobs, artifacts + some.artifacts, size + some.bytes
        if not some.more:
            return structs.replace(some, jobs=jobs, artifacts=artifacts, bytes=size)


def engines(caller: Caller) -> Operation[list[Engine]]:
    """The engines."""
    reply = yield from caller.call(ask.ListEngines(id=caller.next_id()), re.EnginesReply)
    return reply.engines


def models(caller: Caller, kind: str, engine: str) -> Operation[list[re.EngineModels]]:
    """The models of each engine."""
    request = ask.ListModels(id=caller.next_id(), kind=kind, engine=engine)
    return (yield from caller.call(request, re.ModelsReply)).engines


def recipes(caller: Caller) -> Operation[list[Recipe]]:
    """The recipes, without their workflows."""
    return (yield from caller.call(ask.ListRecipes(id=caller.next_id()), re.RecipesReply)).recipes


def recipe(caller: Caller, name: str, engine: str) -> Operation[Recipe]:
    """A recipe with its workflow, of the first engine that has it or of the one named.

    Raises:
        NotFound: There is none.
    """
    request = ask.ListRecipes(id=caller.next_id(), name=name)
    found = (yield from caller.call(request, re.RecipesReply)).recipes
    of_engine = [one for one in found if engine in ("", one.engine)]
    if not of_engine:
        engines = ", ".join(one.engine for one in found)
        raise NotFound(
            "not_found", f"engine {engine} has no recipe {name!r}", field="engine", hint=f"it is of {engines}"
        )
    return of_engine[0]


def profiles(caller: Caller) -> Operation[list[Profile]]:
    """The profiles."""
    return (yield from caller.call(ask.ListProfiles(id=caller.next_id()), re.ProfilesReply)).profiles


def recent_events(caller: Caller, number: int) -> Operation[list[AnyEvent]]:
    """The newest committed events, oldest first."""
    head = (yield from caller.call(ask.GetSnapshot(id=caller.next_id(), limit=1), re.SnapshotPage)).seq
    page = yield from caller.call(ask.EventsSince(id=caller.next_id(), seq=max(0, head - number)), re.EventsPage)
    return [codec.decode_event(event.body) for event in page.events][-number:]


def stats(caller: Caller, job_id: str | None, window_s: float | None) -> Operation[re.Stats]:
    """What was done, how fast, and how long it waited."""
    return caller.call(ask.GetStats(id=caller.next_id(), job_id=job_id, window_s=window_s), re.Stats)


def gpu(caller: Caller) -> Operation[re.GpuReport]:
    """How the GPUs and their host are, and who holds what."""
    return caller.call(ask.GetGpu(id=caller.next_id()), re.GpuReport)


def plan(caller: Caller, grouping: Grouping | None) -> Operation[re.Plan]:
    """The runs to come."""
    return caller.call(ask.GetPlan(id=caller.next_id(), grouping=grouping), re.Plan)


def why(caller: Caller, job_id: str) -> Operation[re.Why]:
    """Why a job does not run yet."""
    return caller.call(ask.AskWhy(id=caller.next_id(), job_id=job_id), re.Why)


def execute_plan(caller: Caller, token: str) -> Operation[re.PlanBegun]:
    """Carry out a plan as it was shown."""
    return caller.call(ask.ExecutePlan(id=caller.next_id(), token=token), re.PlanBegun)


def describe(caller: Caller) -> Operation[re.Description]:
    """The wire as JSON Schema."""
    return caller.call(ask.Describe(id=caller.next_id()), re.Description)


def reload(caller: Caller) -> Operation[re.Reloaded]:
    """Have the configuration read again."""
    return caller.call(ask.Reload(id=caller.next_id()), re.Reloaded)


def shutdown(caller: Caller, reason: str) -> Operation[re.ShuttingDown]:
    """Stop the daemon."""
    return caller.call(ask.Shutdown(id=caller.next_id(), reason=reason), re.ShuttingDown)


def _ambiguous(said: str, found: Sequence[Job]) -> BadRequest:
    some = ", ".join(f"{one.job_id} ({f'{one.name:.40}, ' if one.name else ''}{one.state})" for one in found[:_SHOWN])
    count, more = (f"more than {_SHOWN}", ", ...") if len(found) > _SHOWN else (str(len(found)), "")
    message = f"{count} jobs are called {said!r}: {some}{more}"
    return BadRequest("bad_request", message, field="job_id", hint="say more of the id of the one that is meant")


def _emit(value: Any) -> Operation[None]:
    yield Emit(value)


def _page_by_page(
    caller: Caller,
    request: ask.ListJobs | ask.ListItems | ask.ListArtifacts | ask.ListOutputs,
    expected: type[P],
    entries: Callable[[P], Sequence[T]],
    use: Callable[[T], Operation[None]] = _emit,
) -> Operation[None]:
    """Ask for page after page, and use each entry as it comes."""
    while True:
        page = yield from caller.call(request, expected)
        for entry in entries(page):
            yield from use(entry)
        if not page.cursor:
            return
        request = structs.replace(request, id=caller.next_id(), cursor=page.cursor)


def _fetch_one(caller: Caller, artifact: Artifact) -> Operation[None]:
    name = artifact.path.rpartition("/")[2]
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


def _items(items: Sequence[ItemLike]) -> list[ask.ItemSpec]:
    return [_item(item, f"items[{index}]") for index, item in enumerate(items)]


def _item(item: ItemLike, field: str) -> ask.ItemSpec:
    given: Mapping[str, Any] = {"params": {"prompt": item}} if isinstance(item, str) else item
    if strange := given.keys() - {"params", "custom_id"}:
        raise _not_accepted(f"{field}.{min(strange)}", "is not known", "an item has `params` and `custom_id`")
    params = _pack(given["params"], f"{field}.params") if "params" in given else UNSET
    return ask.ItemSpec(params=params, custom_id=given.get("custom_id"))


def _pack(value: Any, field: str) -> Raw:
    try:
        return codec.pack(value)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise _not_accepted(field, f"can't be sent: {error}", "text, numbers, true, false, none, lists, maps") from None


def _words(kind: type[E], names: Sequence[str]) -> tuple[E, ...]:
    return tuple(_word(kind, name, "states") for name in names)


def _word(kind: type[E], name: str, field: str) -> E:
    """A member of a closed list by its name."""
    try:
        return kind(name)
    except ValueError:
        raise _not_accepted(field, f"can't be {name!r}", f"one of: {', '.join(kind)}") from None


def _not_accepted(field: str, what: str, hint: str) -> BadRequest:
    return BadRequest("bad_request", f"{field}: {what}", field=field, hint=hint)
