"""`stoker godot install`: the dock for the Godot editor, put into a project."""

import shutil
from pathlib import Path

import click

from stoker_client.cli.verb import Shared, verb

PACKED = Path(__file__).parents[1] / "godot_addon"
"""Where the wheel has the plugin."""
IN_A_CLONE = Path(__file__).parents[2] / "godot" / "addons" / "stoker"


@verb(
    "stoker godot install ~/games/dragons     # the folder that has the project.godot; again after an upgrade",
    asks_daemon=False,
)
@click.argument("action", metavar="install", type=click.Choice(["install"]))
@click.argument("project", metavar="DIR", type=click.Path(path_type=Path))
def godot(shared: Shared, action: str, project: Path) -> None:
    """Put the dock for the Godot editor into a project.

    Copies the plugin to addons/stoker in DIR, in the place of an earlier one.
    """
    assert action == "install"
    _refuse_other_folders(project)
    source = PACKED if PACKED.is_dir() else IN_A_CLONE
    target = project / "addons" / "stoker"
    was_there = target.exists()
    try:
        _replace(source, target)
    except OSError as error:
        raise click.UsageError(f"{target} can't be written: {error}") from None
    then = (
        "Open the project again, and the editor has it."
        if was_there
        else "In the editor: Project > Project Settings > Plugins, set Stoker to active."
    )
    shared.answer({"path": str(target), "replaced": was_there}, f"The plugin is in {target}. {then}")


def _refuse_other_folders(project: Path) -> None:
    try:
        settings = (project / "project.godot").read_text(encoding="utf-8", errors="replace")
    except OSError:
        raise click.UsageError(f"{project} is no Godot project: name the folder that has project.godot.") from None
    if "config_version=5" in settings.splitlines():
        raise click.UsageError(f"{project} is a project of Godot 4, and the plugin runs in Godot 3.")


def _replace(source: Path, target: Path) -> None:
    """Bring the copy whole to its place: who is cut off has the old one, or none, but never half of one."""
    fresh = target.with_name(".stoker.new")
    shutil.rmtree(fresh, ignore_errors=True)
    shutil.copytree(source, fresh)
    if target.exists():
        shutil.rmtree(target)
    fresh.rename(target)
