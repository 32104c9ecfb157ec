"""`stoker godot install` brings the plugin into a project, replaces an older one, and refuses what is no project."""

from pathlib import Path

import pytest
from tests.clients.cli.running import run_process
from tests.clients.godot.editor import ADDON

OURS = {file.name: file.read_bytes() for file in ADDON.iterdir()}


def test_into_a_project(tmp_path: Path) -> None:
    """We expect the whole plugin to be there, and what to do next to be said."""
    (tmp_path / "project.godot").write_text("config_version=4\n")
    ran = run_process("godot", "install", str(tmp_path))
    assert ran.code == 0
    assert "set Stoker to active" in ran.out
    assert {file.name: file.read_bytes() for file in (tmp_path / "addons" / "stoker").iterdir()} == OURS
    assert [path.name for path in (tmp_path / "addons").iterdir()] == ["stoker"]


def test_again(tmp_path: Path) -> None:
    """We expect an earlier plugin to be replaced, with nothing of it left, and other plugins to stay."""
    (tmp_path / "project.godot").write_text("config_version=4\n")
    for file in ("stoker/gone.gd", "stoker/zmtp.gd", ".stoker.new/half.gd", "other/plugin.gd"):
        (tmp_path / "addons" / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "addons" / file).write_text("old")
    ran = run_process("godot", "install", str(tmp_path), "--json")
    assert ran.json == {"path": str(tmp_path / "addons" / "stoker"), "replaced": True}
    assert {file.name: file.read_bytes() for file in (tmp_path / "addons" / "stoker").iterdir()} == OURS
    assert sorted(path.name for path in (tmp_path / "addons").iterdir()) == ["other", "stoker"]


@pytest.mark.parametrize(("settings", "why"), [(None, "is no Godot project"), ("config_version=5\n", "Godot 4")])
def test_into_another_folder(tmp_path: Path, settings: str | None, why: str) -> None:
    """We expect a refusal that says why, and the folder as it was."""
    if settings:
        (tmp_path / "project.godot").write_text(settings)
    before = sorted(tmp_path.iterdir())
    ran = run_process("godot", "install", str(tmp_path))
    assert ran.code == 2
    assert why in ran.err
    assert sorted(tmp_path.iterdir()) == before
