"""The plugin in Debian's real Godot editor, with a real daemon."""

from pathlib import Path
from typing import Any

import pytest
from tests.clients.godot.editor import Editor, needs_godot, new_project, run_script

from stoker_client import Client
from stoker_client.private_daemon import PrivateDaemon

pytestmark = needs_godot

SLOW_SPRITES = """
[engines.sprites]
model = "stoker_worker.models.sprites:Sprites"
options = { load_s = 0.0, step_s = 0.05 }
"""


@pytest.fixture
def stokerd(tmp_path: Path) -> PrivateDaemon:
    """A daemon, not started, whose sprites take their time."""
    (tmp_path / "stokerd.toml").write_text(SLOW_SPRITES)
    return PrivateDaemon(tmp_path / "data", args=["--config", str(tmp_path / "stokerd.toml")])


def test_an_animation_over_a_killed_daemon(tmp_path: Path, stokerd: PrivateDaemon) -> None:
    """We expect an animation that was ordered in the dock to be in the project, though the daemon was killed."""
    project = new_project(tmp_path / "game", "stoker", "probe")
    wanted: dict[str, Any] = {"prompt": "a red dragon", "frames": 4, "params": {"pose": "walk", "steps": 40}}
    with stokerd, Editor(project, stokerd.control, **wanted, until="imported") as editor:
        editor.wait_until(lambda shown: any(20 < row[2] < 90 and row[3] for row in shown["rows"]))
        stokerd.kill()
        editor.wait_until(lambda shown: shown["summary"].startswith("not connected"))
        stokerd.start()
        editor.wait_until(lambda shown: shown["summary"].startswith("1 running"))
        last = editor.wait_for_end()[-1]
        with Client(stokerd.control) as client:
            (job,) = client.jobs()
    assert (job.state, job.items.succeeded, job.name) == ("succeeded", 4, "a red dragon")
    assert last["rows"][0][:3] == ["a red dragon", "succeeded, 4 of 4", 100]
    (resource,) = project.glob("sprites/a_red_dragon_*/a_red_dragon.tres")
    facts = run_script(project, "look_at_frames.gd", FRAMES=str(resource.relative_to(project)))
    assert facts == [{"animations": {"walk": 4}, "sizes": [[64, 64]], "is_sharp": True, "different": 4}]
    assert not (project / ".stoker/orders.cfg").read_text().strip()
