"""The simulator as a program: recorded traces replayed, and generated ones compared."""

import json
from pathlib import Path
from typing import Any

import pytest
from benchmarks.scheduling.__main__ import main
from benchmarks.scheduling.policies import POLICIES
from benchmarks.scheduling.trace import parse
from click.testing import CliRunner, Result

MACHINE = {
    "models": {"A": {"load_s": 20.0, "gb": 12}, "B": {"load_s": 5.0, "gb": 1, "curve": [[2, 3.0]]}},
    "slots": 1,
    "max_batch": 8,
    "curve": [[1, 2.84], [4, 10.12], [8, 15.04]],
}


def item(arrival_s: float, model: str, priority: str = "normal") -> dict[str, Any]:
    """A line of a trace."""
    return {"arrival_s": arrival_s, "model": model, "priority": priority}


def write(folder: Path, *lines: dict[str, Any]) -> str:
    """A trace file."""
    path = folder / "trace.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return str(path)


def run(*arguments: str) -> Result:
    """The program."""
    return CliRunner().invoke(main, arguments)


def test_parsing() -> None:
    """We expect items in order of arrival, equal ones as in the file, and a curve straight between its points."""
    trace = parse(json.dumps(line) for line in (MACHINE, item(5, "B", "low"), item(0, "B"), item(0, "A", "urgent")))
    assert trace.items == [(0, "B", 2), (0, "A", 0), (5, "B", 3)]
    assert (trace.slots, trace.max_batch, trace.models["A"].gb) == (1, 8, 12)
    assert [trace.models["A"].curve.seconds(n) for n in (1, 4, 6, 8)] == pytest.approx([2.84, 10.12, 12.58, 15.04])
    assert trace.models["B"].curve.seconds(8) == 12.0


@pytest.mark.parametrize("policy", POLICIES)
def test_replaying(tmp_path: Path, policy: str) -> None:
    """We expect the figures of each policy as one JSON object with the fields that scripts rely on."""
    path = write(tmp_path, MACHINE, item(0, "A", "urgent"), item(0, "B", "low"), item(1, "A"))
    done = run("--trace", path, "--policy", policy, "--json")
    assert done.exit_code == 0, done.output
    result = json.loads(done.output)
    assert list(result) == [
        "policy",
        "makespan_s",
        "swaps",
        "load_share",
        "weighted_wait_s",
        "max_wait_s",
        "by_priority",
    ]
    assert result["policy"] == policy
    assert result["by_priority"]["urgent"] == {"mean_s": 20.0, "p99_s": 20.0, "max_s": 20.0}
    assert list(result["by_priority"]) == ["urgent", "high", "normal", "low"]
    assert result["swaps"] == (3 if policy == "fifo" else 2)


def test_no_items(tmp_path: Path) -> None:
    """We expect a trace without items to be replayed in no time."""
    result = json.loads(run("--trace", write(tmp_path, MACHINE), "--policy", "stoker", "--json").output)
    assert (result["makespan_s"], result["swaps"], result["weighted_wait_s"]) == (0, 0, 0)


@pytest.mark.parametrize("wrong", [item(0, "C"), item(0, "A", "soon"), {"arrival_s": 0}])
def test_no_trace(tmp_path: Path, wrong: dict[str, Any]) -> None:
    """We expect a file that is no trace to be refused with what is wrong, not with a traceback."""
    done = run("--trace", write(tmp_path, MACHINE, wrong), "--policy", "fifo")
    assert done.exit_code == 1
    assert "is no trace" in done.output


def test_comparing() -> None:
    """We expect a quick comparison to end with a row for each policy and figures beside their targets."""
    done = run("bursty", "--quick")
    assert done.exit_code == 0, done.output
    assert [line.split()[1] for line in done.output.splitlines() if line.startswith("bursty  ")] == list(POLICIES)
    assert "bursty: weighted wait, upper bound" in done.output
    assert "step, 100000 items" in done.output
