"""`stoker engines`: what can be asked for: engines, their models and their parameters."""

import click

from stoker_client.cli.render import clean, coloured, paint, plural, table
from stoker_client.cli.verb import Shared, verb
from stoker_protocol.jobs import Engine, Parameter


@verb("stoker engines", "stoker engines --json")
def engines(shared: Shared) -> None:
    """List the engines with their models and parameters."""
    with shared.client() as client:
        found = client.engines()
    text = "\n\n".join(_portrait(engine) for engine in found) or "This daemon has no engines."
    shared.answer({"engines": found}, text)


def _portrait(engine: Engine) -> str:
    facts = f"kind {engine.kind}, lane {engine.lane}, up to {plural(engine.max_batch, 'item')} in one run"
    lines = [f"{click.style(clean(engine.name), bold=True)} is {paint(coloured(engine.state))} ({clean(facts)})"]
    lines += [clean(engine.detail)] if engine.detail else []
    models = [(m.name, "default" if m.name == engine.default_model else "", m.summary) for m in engine.models]
    parameters = [(p.name, _accepts(p), _default(p), p.help) for p in engine.parameters]
    lines += ["", table(("model", "", "what it is"), models)] if models else []
    lines += ["", table(("parameter", "takes", "default", "what it does"), parameters)] if parameters else []
    return "\n".join(lines)


def _accepts(parameter: Parameter) -> str:
    if parameter.choices is not None:
        return ", ".join(map(str, parameter.choices))
    low, high = parameter.minimum, parameter.maximum
    span = f" from {low}" if low is not None else ""
    return parameter.type + span + (f" to {high}" if high is not None else "")


def _default(parameter: Parameter) -> str:
    if parameter.required:
        return "required"
    return "" if parameter.default is None else str(parameter.default)
