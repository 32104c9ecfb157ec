"""The plugin keeps up with a stream of events: here by count; how fast is for the benchmark to say."""

import json
import subprocess
import sys
from pathlib import Path

from benchmarks.godot.firehose import Firehose
from tests.clients.godot.editor import Script, needs_godot, new_project

pytestmark = needs_godot

ROOT = Path(__file__).parents[3]
EVENTS, JOBS = 6_000, 200


def test_six_thousand_events(tmp_path: Path) -> None:
    """We expect all events of a burst to be followed without asking for any again, and each job's last state known."""
    with Firehose() as daemon:
        daemon.prepare(EVENTS, JOBS)
        follow = json.dumps({"endpoint": daemon.control})
        with Script(new_project(tmp_path / "game"), "follow.gd", FOLLOW=follow) as script:
            script.wait_until(lambda told: told.get("link", {}).get("state") == "live")
            daemon.pour(None)
            known: dict[str, str] = {}
            wanted = {f"job-{number}": "succeeded" for number in range(JOBS)}
            script.wait_until(lambda told: known.update(told.get("jobs", {})) or known == wanted)
            told = script.wait_until(lambda told: told.get("counts", {}).get("through") == EVENTS)
    assert told["counts"]["caught_up"] == 0


def test_the_benchmark(tmp_path: Path) -> None:
    """We expect a quick run of the benchmark to end with its figures, and no event to be asked for again."""
    output = tmp_path / "figures.json"
    command = [sys.executable, "-m", "benchmarks.godot", "--quick", "--output", str(output)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    figures = json.loads(output.read_text())["figures"]
    assert [figure["value"] > 0 for figure in figures] == [True] * 4
    assert figures[2]["made_of"].endswith(" 0 of them asked for again")
