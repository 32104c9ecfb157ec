"""What the plugin keeps is bounded, whatever comes."""

from pathlib import Path

from tests.clients.godot.editor import needs_godot, new_project, run_script

pytestmark = needs_godot


def test_ten_thousand_jobs(tmp_path: Path) -> None:
    """We expect a thousand jobs of ten thousand in the news, two dozen on screen, and work in slices of a budget."""
    (said,) = run_script(new_project(tmp_path / "game"), "try_bounds.gd")
    assert (said["news"], said["progress"], said["is_cut"], said["said"]) == (1000, 1000, True, 20)
    assert (said["after_no_time"], said["has_slices"], said["shown"]) == (1, True, 24)
    assert (said["active"], said["summary"]) == (1000, "0 running, 1000+ waiting")
    assert (said["previews"], said["previews_left"]) == ([1000, 1000], 0)
    assert (said["kept"], said["needs_snapshot"]) == (8, True)
    assert said["rows"] == [1, 2, 3, 4, 5, 6, 7, 8, 8, 8]
    assert said["lines"] == 4
