"""What the daemon does for each request: one verb, one module, and here the match that knows them all."""

from typing import assert_never

from stoker_daemon.handlers import (
    append,
    artifacts,
    cancel,
    check,
    clean_outputs,
    describe,
    engines,
    events_since,
    execute_plan,
    gpu,
    health,
    hello,
    items,
    job,
    jobs,
    models,
    move,
    outputs,
    pause,
    ping,
    plan,
    profiles,
    put_blob,
    read_artifact,
    recipes,
    reload,
    resume,
    retry,
    seal,
    shutdown,
    snapshot,
    stats,
    submit,
    why,
)
from stoker_daemon.ports import Caller, Services
from stoker_protocol.errors import ErrorCode, Refused
from stoker_protocol.replies import AnyReply
from stoker_protocol.requests import (
    AnyRequest,
    Append,
    AskWhy,
    Cancel,
    Check,
    CleanOutputs,
    Describe,
    EventsSince,
    ExecutePlan,
    GetGpu,
    GetJob,
    GetPlan,
    GetSnapshot,
    GetStats,
    Health,
    Hello,
    ListArtifacts,
    ListEngines,
    ListItems,
    ListJobs,
    ListModels,
    ListOutputs,
    ListProfiles,
    ListRecipes,
    Move,
    PauseWork,
    Ping,
    PutBlob,
    ReadArtifact,
    Reload,
    ResumeWork,
    Retry,
    Role,
    Seal,
    Shutdown,
    Submit,
)


async def handle(request: AnyRequest, body: bytes, caller: Caller, services: Services) -> AnyReply:
    """Answer one request; whoever sends the reply fills in its id.

    Raises:
        Refused: With nothing changed.
    """
    if caller.role < Role.ADMIN:
        await _check_ownership(request, caller, services)
    match request:
        case Submit():
            return await submit.handle(request, body, caller, services)
        case Append():
            return await append.handle(request, services)
        case Seal():
            return await seal.handle(request, services)
        case Cancel():
            return await cancel.handle(request, caller, services)
        case Retry():
            return await retry.handle(request, caller, services)
        case Move():
            return await move.handle(request, caller, services)
        case PauseWork():
            return await pause.handle(request, caller, services)
        case ResumeWork():
            return await resume.handle(request, caller, services)
        case CleanOutputs():
            return await clean_outputs.handle(request, services)
        case PutBlob():
            return await put_blob.handle(request, services)
        case ExecutePlan():
            return await execute_plan.handle(request, caller, services)
        case Reload():
            return await reload.handle(services)
        case Shutdown():
            return shutdown.handle(request, services)
        case _:
            return await _look(request, caller, services)


async def _check_ownership(request: AnyRequest, caller: Caller, services: Services) -> None:
    """Let those who are no admins change only jobs of their own, and not the queue of all.

    A job that is not there is left to the handler, and so is the scope of a cancel.

    Raises:
        Refused: `forbidden`.
    """
    match request:
        case PauseWork(job_id=None) | ResumeWork(job_id=None):
            raise Refused(ErrorCode.FORBIDDEN, "only an admin may hold back all work or let it go on", field="job_id")
        case Append() | Seal() | Retry() | Move() | PauseWork() | ResumeWork():
            job_ids = [request.job_id or ""]
        case Cancel():
            job_ids = request.job_ids or []
        case _:
            return
    for job_id in job_ids:
        owner = await _owner_of(job_id, services)
        if owner not in (caller.name, None):
            raise Refused(ErrorCode.FORBIDDEN, f"job {job_id} is {owner}'s, not {caller.name}'s", field="job_id")


async def _owner_of(job_id: str, services: Services) -> str | None:
    try:
        return (await services.store.job(job_id)).job.client
    except Refused as refused:
        if refused.code is not ErrorCode.NOT_FOUND:
            raise
        return None


_Question = (
    Hello
    | Ping
    | Health
    | Check
    | GetJob
    | ListJobs
    | ListItems
    | GetSnapshot
    | EventsSince
    | ListArtifacts
    | ReadArtifact
    | ListOutputs
    | ListEngines
    | ListModels
    | ListRecipes
    | ListProfiles
    | GetStats
    | GetGpu
    | GetPlan
    | AskWhy
    | Describe
)


async def _look(request: _Question, caller: Caller, services: Services) -> AnyReply:
    """Answer a request that changes nothing."""
    match request:
        case Hello():
            return hello.handle(caller, services)
        case Ping():
            return ping.handle(services)
        case Health():
            return health.handle(services)
        case Check():
            return await check.handle(services)
        case GetJob():
            return await job.handle(request, services)
        case ListJobs():
            return await jobs.handle(request, services)
        case ListItems():
            return await items.handle(request, services)
        case GetSnapshot():
            return await snapshot.handle(request, services)
        case EventsSince():
            return await events_since.handle(request, services)
        case ListArtifacts():
            return await artifacts.handle(request, services)
        case ReadArtifact():
            return await read_artifact.handle(request, services)
        case ListOutputs():
            return await outputs.handle(request, services)
        case ListEngines():
            return engines.handle(services)
        case ListModels():
            return models.handle(request, services)
        case ListRecipes():
            return recipes.handle(request, services)
        case ListProfiles():
            return profiles.handle(services)
        case GetStats():
            return await stats.handle(request, services)
        case GetGpu():
            return gpu.handle(services)
        case GetPlan():
            return await plan.handle(request, services)
        case AskWhy():
            return await why.handle(request, services)
        case Describe():
            return describe.handle()
        case _:
            assert_never(request)
