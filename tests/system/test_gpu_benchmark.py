"""The benchmark for GPU hosts runs, on the fake ComfyUI: how fast is for a real one to say."""

import json
import subprocess
import sys
from pathlib import Path

from tests.fakes.comfyui.harness import ComfyProcess
from tests.system.daemons import REPOSITORY


def test_a_gpu_host(tmp_path: Path) -> None:
    """We expect that a quick run has a figure of each kind, says what it could not measure, and leaves nothing else."""
    output = tmp_path / "figures.json"
    with ComfyProcess(tmp_path / "server", stoker_nodes="yes") as server:
        command = [sys.executable, "-m", "benchmarks.gpu", "--quick", "--url", server.url, "--folder", str(tmp_path)]
        done = subprocess.run(
            [*command, "--output", str(output)],
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    found = json.loads(output.read_text())
    values = {figure["name"]: figure["value"] for figure in found["figures"]}
    assert [name for name in values if name.startswith("pictures a minute, ")] == [
        f"pictures a minute, {size} a prompt" for size in (1, 4, 8)
    ]
    assert values["loads in waves"] == 2
    assert values["pixels differ by at most"] == 0
    assert {name for name in values if name.startswith("server at work for ")} == {
        f"server at work for {who}" for who in ("Stoker", "submit and poll", "the server's queue")
    }
    assert values["time of a plan, error"] >= 0
    assert found["left_out"].keys() == {"memory model"}
    assert (found["is_gpu"], found["comfyui"]) == (False, "0.12.1")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["figures.json", "server"]
