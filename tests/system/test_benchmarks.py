"""The benchmarks run: how fast is for a quiet machine to say."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
from benchmarks.parts import PARTS
from benchmarks.peers.libraries import LIBRARIES
from benchmarks.results import Result
from tests.system.daemons import REPOSITORY

SEED_OF_ALL_DEATHS = "28"
"""With it the daemon, its worker and both servers of a quick soak die at least once."""
LIMIT_S = 600
WAIT_S = 120


def test_all_parts(tmp_path: Path) -> None:
    """We expect that a quick run of all ends with each part's figures, and leaves no file and no process."""
    output = tmp_path / "result.json"
    folder = tmp_path / "disk"
    folder.mkdir()
    done = _run(["--quick", "--folder", str(folder), "--environments", str(tmp_path / "none"), "--output", str(output)])
    assert done.returncode == 0, done.stdout + done.stderr
    result = Result.read(output)
    assert list(result.parts) == list(PARTS)
    assert all(part.findings.figures and part.fsync_us for part in result.parts.values())
    assert _figure(result, "listeners that missed an event") == 0
    _assert_peers(result, done.stdout)
    assert list(folder.iterdir()) == []
    assert _processes_of(tmp_path) == []


def test_interrupted(tmp_path: Path) -> None:
    """We expect that Ctrl+C ends a run with the daemon that it was measuring, and leaves no file."""
    run = _start(tmp_path, "footprint")
    try:
        _await(lambda: any("stoker_daemon" in line for line in _processes_of(tmp_path)))
        run.send_signal(signal.SIGINT)
        assert run.wait(WAIT_S) == 130
    finally:
        run.kill()
    assert _processes_of(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_a_part_that_dies(tmp_path: Path) -> None:
    """We expect that a part that dies is told as failed, its daemon ended, and the next part measured all the same."""
    output = tmp_path / "result.json"
    run = _start(tmp_path, "footprint", "scheduling", "--output", str(output))
    try:
        _await(lambda: any("stoker_daemon" in line for line in _processes_of(tmp_path)))
        part = next(child for child in psutil.Process(run.pid).children() if "benchmarks.parts" in child.cmdline())
        part.kill()
        assert run.wait(WAIT_S) == 1
    finally:
        run.kill()
    result = Result.read(output)
    assert result.failed == {"footprint": "it said nothing"}
    assert result.parts["scheduling"].findings.figures
    assert _processes_of(tmp_path) == []


def test_throughput_of_the_core(tmp_path: Path) -> None:
    """We expect that a quick run of a part of the core ends with figures beside their targets, and leaves nothing."""
    output = tmp_path / "figures.json"
    command = [sys.executable, "-m", "benchmarks.core", "throughput", "--quick", "--folder", str(tmp_path)]
    done = subprocess.run(
        [*command, "--output", str(output)], cwd=REPOSITORY, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    figures: list[dict[str, Any]] = json.loads(output.read_text())["figures"]
    assert len(figures) == 4
    for figure in figures:
        is_met = figure["value"] >= figure["target"]
        assert figure["is_met"] == is_met
        line = next(line for line in done.stdout.splitlines() if figure["name"] in line)
        assert f">= {figure['target']:g} {'yes' if is_met else 'NO'}" in line
    assert list(tmp_path.iterdir()) == [output]


def test_waves_of_language_models(tmp_path: Path) -> None:
    """We expect that a quick run on stand-in servers ends with its two figures, and leaves nothing else."""
    output = tmp_path / "figures.json"
    command = [sys.executable, "-m", "benchmarks.llm", "--quick", "--folder", str(tmp_path), "--output", str(output)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    figures = json.loads(output.read_text())["figures"]
    assert [figure["value"] > 0 for figure in figures] == [True] * 2
    assert list(tmp_path.iterdir()) == [output]


def test_some_peers(tmp_path: Path) -> None:
    """We expect a row for each peer that was asked for, beside Stoker and its limit, or why it was left out."""
    output = tmp_path / "peers.json"
    command = [sys.executable, "-m", "benchmarks.peers", "beanstalkd", "--quick", "--folder", str(tmp_path)]
    done = subprocess.run(
        [*command, "--output", str(output)], cwd=REPOSITORY, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(output.read_text())
    assert {*found["contenders"], *found["left_out"]} == {"stoker", "limit", "beanstalkd"}
    for name in found["contenders"]:
        assert f"\n  {name} " in done.stdout
    assert list(tmp_path.iterdir()) == [output]


def _assert_peers(result: Result, said: str) -> None:
    """Each peer was measured, or it is said why not: those of Python always, since none is installed."""
    peers = result.parts["peers"].findings
    rates = next(comparison for comparison in peers.comparisons if comparison.name == "one by one")
    assert {"stoker", "limit"} <= rates.values.keys()
    assert all(rate > 0 for column in rates.values.values() for rate in column)
    assert {"beanstalkd", "Redis Streams"} <= rates.values.keys() | peers.left_out.keys()
    for library in LIBRARIES:
        why = f"{library.packages[0]} is not in none/{library.script}; a run without --quick installs it"
        assert peers.left_out[library.name] == why
        assert f"left out: {library.name}: {why}" in said


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


def _figure(result: Result, name: str) -> float:
    return next(figure.value for figure in result.figures if figure.name == name)


def _run(args: list[str]) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "benchmarks", *args]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=LIMIT_S, check=False)


def _start(folder: Path, *args: str) -> "subprocess.Popen[bytes]":
    """A run whose first part lasts long enough to be interfered with."""
    command = [sys.executable, "-m", "benchmarks", *args, "--folder", str(folder)]
    return subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _processes_of(folder: Path) -> list[str]:
    """The command lines in which the folder is named, but for those of the runs themselves."""
    lines = [" ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"])]
    return [line for line in lines if str(folder) in line and "-m benchmarks " not in line]


def _await(is_so: Callable[[], bool]) -> None:
    until_s = time.monotonic() + WAIT_S
    while not is_so():
        assert time.monotonic() < until_s, "it never came"
        time.sleep(0.05)  # polls
