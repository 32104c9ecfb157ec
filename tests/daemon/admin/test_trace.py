"""What a daemon did is written down so that other orders of work can be tried on it."""

import io
import json
import subprocess
import sys
from pathlib import Path

from benchmarks.scheduling.policies import POLICIES
from benchmarks.scheduling.simulator import simulate
from benchmarks.scheduling.trace import parse
from tests.daemon.sqlite.queues import Queue

from stoker_daemon.admin.trace import trace
from stoker_daemon.sqlite.database import FILE_NAME
from stoker_protocol.events import ModelLoaded, topic_of_lane


def lived(folder: Path) -> Queue:
    """Three jobs for two models; `one` loads in 20 s and takes 2 s an item, `two` loads within its first run."""
    queue = Queue(folder)
    for number, model in enumerate(["one", "two", "one"]):
        queue.accept(f"job-{number}", 2, model=model, priority=("high", "low", "normal")[number])
        queue.clock.ms += 1_000
    lives = [("one", 20, 2), *[("one", 0, 2)] * 3, ("two", 5, 3), ("two", 0, 3)]
    for loaded, load_s, run_s in lives:
        run = queue.claim(loaded=loaded)
        assert run is not None
        queue.clock.ms += 1_000 * (load_s + run_s)
        if load_s == 20:
            event = ModelLoaded(lane="gpu", engine="faults", model="one", seconds=load_s)
            queue.write(lambda tx, event=event: tx.tell(topic_of_lane("gpu"), event))
        queue.record(run)
    return queue


def test_a_trace_of_a_life(tmp_path: Path) -> None:
    """We expect each item when it came, and of each model what a load and a run take."""
    lived(tmp_path)
    machine, *items = [json.loads(line) for line in trace(tmp_path, "gpu")]
    assert (machine["slots"], machine["max_batch"]) == (1, 1)
    assert machine["models"]["faults/one"] == {"load_s": 20.0, "curve": [[1, 2.0]]}
    assert machine["models"]["faults/two"] == {"load_s": 5.0, "curve": [[1, 3.0]]}
    assert [(item["arrival_s"], item["model"], item["priority"]) for item in items] == [
        *[(0.0, "faults/one", "high")] * 2,
        *[(1.0, "faults/two", "low")] * 2,
        *[(2.0, "faults/one", "normal")] * 2,
    ]


def test_a_trace_is_replayed(tmp_path: Path) -> None:
    """We expect the simulator to run each of its items once, in any order of work."""
    lived(tmp_path)
    replayed = parse(io.StringIO("\n".join(trace(tmp_path, "gpu"))))
    for policy in POLICIES.values():
        done = simulate(replayed, policy(replayed))
        assert sorted(number for run in done for number in run.items) == list(range(6))


def test_the_command(tmp_path: Path) -> None:
    """We expect JSON lines, of another lane none, and of a folder without a database a complaint."""
    lived(tmp_path)
    assert len(stokerd("trace", "--data-dir", str(tmp_path)).stdout.splitlines()) == 7
    assert len(stokerd("trace", "--lane", "other", "--data-dir", str(tmp_path)).stdout.splitlines()) == 1
    refused = stokerd("trace", "--data-dir", str(tmp_path / "nowhere"))
    assert (refused.returncode, refused.stdout) == (4, "")
    assert FILE_NAME in refused.stderr


def stokerd(*args: str) -> "subprocess.CompletedProcess[str]":
    """Run the command."""
    command = [sys.executable, "-m", "stoker_daemon", *args]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
