"""`stoker recipes`: the ways to make something, and what each takes."""

from __future__ import annotations

import click
import msgspec

from stoker_client.cli import complete
from stoker_client.cli.parameters import table_of_parameters
from stoker_client.cli.render import clean, table
from stoker_client.cli.verb import Shared, verb
from stoker_protocol import codec
from stoker_protocol.jobs import Recipe


@verb(
    "stoker recipes",
    "stoker recipes show txt2img",
    "stoker recipes show txt2img --workflow > mine_api.json  # a beginning for a workflow of your own",
)
@click.argument("words", nargs=-1, metavar="[show NAME]", shell_complete=complete.recipes)
@click.option("--engine", default="", shell_complete=complete.engines, help="As this engine has it.")
@click.option("--workflow", "graph_only", is_flag=True, help="Print the workflow behind it, in ComfyUI's API format.")
def recipes(shared: Shared, words: tuple[str, ...], engine: str, graph_only: bool) -> None:
    """List the recipes, or show one with its parameters.

    Ranges and choices are those of the engine's server as it is now.
    """
    name = _name_in(words)
    if graph_only and not name:
        raise click.UsageError("Whose workflow? For example: stoker recipes show txt2img --workflow")
    with shared.client() as client:
        if not name:
            found = [one for one in client.recipes() if engine in ("", one.engine)]
            shared.answer({"recipes": found}, _table(found) if found else "No engine here has recipes.")
            return
        recipe = client.recipe(name, engine)
    if graph_only:
        click.echo(msgspec.json.format(msgspec.json.encode(codec.unpack(recipe.workflow))))
        return
    shape = {**msgspec.structs.asdict(recipe), "workflow": codec.unpack(recipe.workflow)}
    shared.answer(shape, _portrait(recipe))


def _name_in(words: tuple[str, ...]) -> str:
    name = words[1:] if words[:1] == ("show",) else words
    if len(name) > 1 or (words and not name):
        raise click.UsageError("Name one recipe, for example: stoker recipes show txt2img")
    return name[0] if name else ""


def _table(found: list[Recipe]) -> str:
    rows = [(one.name, one.engine, one.summary) for one in found]
    return table(("recipe", "engine", "what it makes"), rows) + "\n\nWhat one takes: stoker recipes show RECIPE"


def _portrait(recipe: Recipe) -> str:
    example = f"stoker generate --recipe {recipe.name}"
    if any(parameter.name == "prompt" for parameter in recipe.parameters):
        example += ' "a red dragon"'
    for parameter in recipe.parameters:
        if parameter.required and parameter.name != "prompt":
            option = f"--{parameter.name} " if parameter.name in _OPTIONS else f"--set {parameter.name}="
            example += f" {option}{_OPTIONS.get(parameter.name, '...')}"
    heading = f"{click.style(clean(recipe.name), bold=True)}, a recipe of {clean(recipe.engine)}"
    return "\n".join(
        [
            f"{heading}: {clean(recipe.summary)}",
            "",
            table_of_parameters(recipe.parameters),
            "",
            clean(f"Try: {example}"),
        ]
    )


_OPTIONS = {"image": "FILE", "mask": "FILE", "lora": "NAME", "vae": "NAME"}
"""Options of `generate` that a recipe may require, and what each takes."""
