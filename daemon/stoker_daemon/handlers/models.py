"""Lists the models that the engines can load, by kind."""

from stoker_daemon.handlers.submit import named_engine
from stoker_daemon.ports import Services
from stoker_protocol.replies import EngineModels, ModelsReply
from stoker_protocol.requests import ListModels


def handle(request: ListModels, services: Services) -> ModelsReply:
    """Answer `models`. Raises Refused: `bad_request`: there is no such engine."""
    engines = [named_engine(request.engine, services)] if request.engine else services.engines.values()
    return ModelsReply(
        engines=[
            EngineModels(engine.name, [m for m in engine.facts().models if request.kind in ("", m.kind)])
            for engine in engines
        ]
    )
