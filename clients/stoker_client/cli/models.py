"""`stoker models`: the files that engines can load, by kind."""

import click

from stoker_client.cli import complete
from stoker_client.cli.render import table
from stoker_client.cli.verb import Shared, verb


@verb("stoker models", "stoker models --kind lora", "stoker models --kind checkpoint --json")
@click.option("--kind", default="", shell_complete=complete.kinds, help="Only these: checkpoint, lora, vae ...")
@click.option("--engine", default="", shell_complete=complete.engines, help="Only those of one engine.")
def models(shared: Shared, kind: str, engine: str) -> None:
    """List the models of the engines.

    A checkpoint is what --model names, a lora what --lora names, a vae what --vae names.
    """
    with shared.client() as client:
        found = client.models(kind=kind, engine=engine)
    rows = [(model.name, model.kind, one.engine, model.summary) for one in found for model in one.models]
    nothing = f"There are no models of the kind {kind}." if kind else "There are no models."
    text = table(("model", "kind", "engine", "what it is"), rows) if rows else nothing
    shared.answer({"engines": found}, text)
