"""Embeddings behind a real daemon: many share a run, and the benchmark of that works."""

import json
import subprocess
import sys
from pathlib import Path

from tests.adapters.studio import BOUND_S, PYTHON
from tests.system.daemons import REPOSITORY, a_rig, config

from stoker_protocol.events import RunStarted
from stoker_protocol.jobs import JobState

ENGINE = """
[engines.texts]
python = "{python}"
model = "sentence_transformers"
options = {{ path = "{path}", device = "cpu" }}
start_timeout_s = 120
"""


def test_embeddings_share_runs(tiny_models: Path, tmp_path: Path) -> None:
    """We expect 200 texts of a job to become vectors in far fewer runs, as far as the job lets them share one."""
    text = config(engines=ENGINE.format(python=PYTHON, path=tiny_models / "embeddings" / "model"))
    with a_rig(tmp_path, text) as rig:
        merged = rig.client.submit([f"text {n}" for n in range(200)])
        single = rig.client.submit([f"text {n}" for n in range(40)], batch_size=1)
        for job, count, fewest, most in ((merged, 200, 1, 40), (single, 40, 40, 40)):
            assert rig.client.wait(job.job_id, BOUND_S).state is JobState.SUCCEEDED
            runs = [event.run for event in rig.events(RunStarted) if event.job.job_id == job.job_id]
            assert fewest <= len(runs) <= most
            vectors = [path.read_bytes() for path in rig.client.fetch(job.job_id, tmp_path / job.job_id)]
            assert len(vectors) == count
            assert len(set(vectors)) == count


def test_the_benchmark_runs(tiny_models: Path, tmp_path: Path) -> None:
    """We expect that a quick run ends with its figure beside its target."""
    output = tmp_path / "figures.json"
    command = [
        *(sys.executable, "-m", "benchmarks.embeddings", "--texts", "3", "--rounds", "1", "--output", str(output)),
        *("--python", PYTHON, "--model", str(tiny_models / "embeddings" / "model")),
    ]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=BOUND_S, check=False)
    assert done.returncode == 0, done.stderr
    (figure,) = json.loads(output.read_text())["figures"]
    assert figure["value"] > 0
    assert f">= {figure['target']:g}" in done.stdout
