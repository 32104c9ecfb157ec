"""The benchmarks run: how fast is for a quiet machine to say."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.system.daemons import REPOSITORY

SEED_OF_ALL_DEATHS = "28"
"""With it the daemon, its worker and both servers of a quick soak die at least once."""


@pytest.mark.parametrize(
    ("part", "number"),
    [("throughput", 4), ("picking", 2), ("footprint", 4), ("starting", 1), ("pinging", 1), ("bounding", 15)],
)
def test_parts_of_the_core(tmp_path: Path, part: str, number: int) -> None:
    """We expect that a quick run of each part ends with its figures beside their targets, and leaves nothing."""
    figures, said = _quick_run(tmp_path, part)
    assert len(figures) == number
    assert part == "footprint" or all(figure["value"] > 0 for figure in figures)  # an idle daemon may use no CPU time
    for figure in figures if part != "bounding" else ():
        is_met = (
            figure["value"] <= figure["target"] if figure["relation"] == "<=" else figure["value"] >= figure["target"]
        )
        assert figure["is_met"] == is_met
        assert f"{figure['relation']} {figure['target']:g} {'yes' if is_met else 'NO'}" in said[figure["name"]]
    assert list(tmp_path.iterdir()) == [tmp_path / "figures.json"]


def test_waves_of_language_models(tmp_path: Path) -> None:
    """We expect that a quick run on stand-in servers ends with its two figures, and leaves nothing else."""
    output = tmp_path / "figures.json"
    command = [sys.executable, "-m", "benchmarks.llm", "--quick", "--folder", str(tmp_path), "--output", str(output)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    figures = json.loads(output.read_text())["figures"]
    assert [figure["value"] > 0 for figure in figures] == [True] * 2
    assert list(tmp_path.iterdir()) == [output]


def test_gaps_between_prompts(tmp_path: Path) -> None:
    """We expect that a quick run beside the bare loops ends with its two figures."""
    output = tmp_path / "figures.json"
    command = [
        sys.executable,
        "-m",
        "benchmarks.comfyui",
        "--quick",
        "--folder",
        str(tmp_path),
        "--output",
        str(output),
    ]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    figures = json.loads(output.read_text())["figures"]
    assert [figure["value"] > 0 for figure in figures] == [True] * 2


def test_peers(tmp_path: Path) -> None:
    """We expect a row for Stoker and its limit, and for each peer that was asked for a row or why it was left out."""
    output = tmp_path / "peers.json"
    command = [sys.executable, "-m", "benchmarks.peers", "beanstalkd", "redis", "--quick", "--folder", str(tmp_path)]
    done = subprocess.run(
        [*command, "--output", str(output)], cwd=REPOSITORY, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(output.read_text())
    for name in ("limit", "stoker", "beanstalkd -f 0", "Redis Streams"):
        if name in found["left_out"]:
            assert f"left out: {name}: " in done.stdout
        else:
            assert f"| {name} |" in done.stdout
            assert all(rate > 0 for rates in found["rates"][name].values() for rate in rates)
    assert {"limit", "stoker"} <= found["rates"].keys()
    assert list(tmp_path.iterdir()) == [output]


def test_the_wire(tmp_path: Path) -> None:
    """We expect that a quick run ends with the cost of keys, the way of an event, and that no listener missed one."""
    output = tmp_path / "figures.json"
    command = [sys.executable, "-m", "benchmarks.wire", "--quick", "--folder", str(tmp_path), "--output", str(output)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    *ratios, missed = [figure["value"] for figure in json.loads(output.read_text())["figures"]]
    assert [ratio > 0 for ratio in ratios] == [True] * 3
    assert missed == 0


def test_a_short_soak(tmp_path: Path) -> None:
    """We expect that a few seconds of work and deaths of everybody lose nothing, and end with all figures met."""
    output = tmp_path / "figures.json"
    command = [
        sys.executable,
        "-m",
        "benchmarks.soak",
        "--quick",
        "--seed",
        SEED_OF_ALL_DEATHS,
        "--output",
        str(output),
    ]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    soak = json.loads(output.read_text())
    assert set(soak["deaths"]) == {"daemon", "worker", "comfyui", "llm"}
    assert [figure["is_met"] for figure in soak["figures"]] == [True] * 5


def _quick_run(folder: Path, part: str) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """The figures as JSON, and the line that was printed of each."""
    output = folder / "figures.json"
    command = [sys.executable, "-m", "benchmarks.core", part, "--quick", "--folder", str(folder)]
    done = subprocess.run(
        [*command, "--output", str(output)], cwd=REPOSITORY, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads(output.read_text())["figures"]
    lines = done.stdout.splitlines()
    return figures, {figure["name"]: next(line for line in lines if figure["name"] in line) for figure in figures}
