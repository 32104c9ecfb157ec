"""Takes a job in, checked against its engine, once."""

from msgspec import structs

from stoker_daemon.ports import Caller, Engine, Services
from stoker_protocol.codec import nearest
from stoker_protocol.errors import ErrorCode, Refused
from stoker_protocol.replies import Submitted
from stoker_protocol.requests import Submit


async def handle(request: Submit, body: bytes, caller: Caller, services: Services) -> Submitted:
    """Answer `submit` after the job is on disk.

    Raises:
        Refused: `bad_request`: no such engine, model, recipe, profile or parameter; `conflict`: the id belongs to
            another job; `queue_full`.
    """
    engine = named_engine(request.engine or _engine_with(request.recipe, services), services)
    placement = engine.place(request)
    await engine.check(request, placement)
    named = structs.replace(request, engine=engine.name, batch_size=request.batch_size or placement.batch_size)
    if request.dry_run:
        await services.store.check_new(named, body)
    else:
        await services.store.accept(named, body, caller.name, placement)
    return Submitted(job_id=request.job_id, items=len(request.items), model=placement.model, dry_run=request.dry_run)


def _engine_with(recipe: str, services: Services) -> str:
    """The engine that a job means which names only a recipe: the default one, unless only another has it."""
    if not recipe:
        return ""
    having = [name for name, engine in services.engines.items() if recipe in {r.name for r in engine.recipes()}]
    return having[0] if len(having) == 1 else ""


def named_engine(name: str, services: Services) -> Engine:
    """An engine by its name, the default one by none. Raises Refused: `bad_request`: there is no such engine."""
    name = name or services.default_engine
    engine = services.engines.get(name)
    if engine is None:
        near = nearest(name, services.engines) or list(services.engines)
        raise Refused(
            ErrorCode.BAD_REQUEST,
            f"engine: there is no engine {name!r}",
            field="engine",
            hint=f"engines here: {', '.join(near)}",
        )
    return engine
