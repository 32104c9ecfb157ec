"""`stoker engines`: what can be asked for: engines, their servers, models and parameters, and how they are."""

from collections import Counter
from collections.abc import Iterator

import click

from stoker_client.cli.parameters import table_of_parameters
from stoker_client.cli.render import clean, coloured, paint, plural, size, table
from stoker_client.cli.verb import Shared, verb
from stoker_protocol.jobs import Engine, ModelFacts, Server

_FEW = 12
"""Models that are listed one by one."""


@verb("stoker engines", "stoker engines --json")
def engines(shared: Shared) -> None:
    """List the engines: how they are, their models and parameters."""
    with shared.client() as client:
        found = client.engines()
    text = "\n\n".join(_portrait(engine) for engine in found) or "This daemon has no engines."
    shared.answer({"engines": found}, text)


def _portrait(engine: Engine) -> str:
    facts = f"kind {engine.kind}, lane {engine.lane}, up to {plural(engine.max_batch, 'item')} in one run"
    lines = [f"{click.style(clean(engine.name), bold=True)} is {paint(coloured(engine.state))} ({clean(facts)})"]
    lines += [clean(engine.detail)] if engine.detail else []
    lines += _about(engine.server) if engine.server else []
    lines += ["", _models(engine.models, engine.default_model)] if engine.models else []
    if engine.server:
        lines += ["", "What its jobs take: stoker recipes show RECIPE"]
    elif engine.parameters:
        lines += ["", table_of_parameters(engine.parameters)]
    return "\n".join(lines)


def _about(server: Server) -> Iterator[str]:
    """What is known of a server; before its first answer that is little."""
    facts = [
        ("server", " ".join(filter(None, [server.url, server.version and f"(version {server.version})"]))),
        *(("device", f"{d.name}, {size(d.memory_free)} of {size(d.memory_total)} free") for d in server.devices),
        ("queue", f"{server.ours} of ours, {server.others} of others" if server.version else ""),
        ("keeps", server.caching),
        ("node packs", ", ".join(server.node_packs)),
        ("shares", _sharing(server)),
        ("last error", " ".join(server.last_error.split())),
    ]
    return (f"  {name:<10} {clean(fact)}" for name, fact in facts if fact)


def _sharing(server: Server) -> str:
    """Which items share a prompt there."""
    if "close" in server.levels:
        return "prompts among items of other seeds and texts (levels close, series)"
    if "series" in server.levels:
        return "prompts among images of one seed only (level series); for all: stokerd nodes install"
    return ""


def _models(models: list[ModelFacts], default: str) -> str:
    """Each of a few models; of many only how many there are of each kind."""
    counts = Counter(model.kind for model in models)
    if len(models) <= _FEW:
        rows = [(m.name, m.kind * (len(counts) > 1), "default" * (m.name == default), m.summary) for m in models]
        return table(("model", "kind" * (len(counts) > 1), "", "what it is"), rows)
    kinds = [(kind, str(count)) for kind, count in counts.items()]
    named = f"\nThe default model is {clean(default)}." if default else ""
    return f"{table(('models', 'count>'), kinds)}\nTheir names: stoker models --kind KIND{named}"
