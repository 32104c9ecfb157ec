"""Measures what merging brings: the same texts as one job that may share calls, and as one that may not, in one run."""

import json
import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import click

from benchmarks.core.figures import Figure
from stoker_client import Client
from stoker_client.private_daemon import PrivateDaemon
from stoker_protocol.jobs import JobState

TARGET = 2.0
TIMEOUT_S = 600.0
MAKER = Path(__file__).parents[2] / "tests" / "models" / "tiny.py"
MERGED, ONE_BY_ONE = 0, 1
"""As a job says it: how many items may share a run, 0 for as many as the model takes."""


@click.command()
@click.option(
    "--python",
    default=lambda: os.environ.get("STOKER_TEST_TORCH_PYTHON", ""),
    help="A Python with torch, sentence-transformers and stoker.  [default: $STOKER_TEST_TORCH_PYTHON]",
)
@click.option("--model", type=click.Path(path_type=Path), help="A model's folder.  [default: a tiny one, made for it]")
@click.option("--texts", default=200, show_default=True, help="Texts in each job.")
@click.option("--rounds", default=5, show_default=True, help="Interleaved rounds.")
@click.option("--output", type=click.Path(path_type=Path), help="Also write the figures there as JSON.")
def main(python: str, model: Path | None, texts: int, rounds: int, output: Path | None) -> None:
    """Measure embeddings a second, merged and one by one."""
    if not python:
        raise click.UsageError("name a Python that has torch: --python; `make .venv-torch/.made` makes one")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        if model is None:
            quiet = {**os.environ, "HF_HUB_OFFLINE": "1", "TQDM_DISABLE": "1"}
            subprocess.run([python, str(MAKER), str(folder)], env=quiet, check=True)
            model = folder / "embeddings" / "model"
        figure = measure(python, model, folder, texts, rounds)
    print(figure.row())
    if output:
        output.write_text(json.dumps({"figures": [figure.shape()]}, indent=2) + "\n")


def measure(python: str, model: Path, folder: Path, texts: int, rounds: int) -> Figure:
    """How many times as fast merged texts are."""
    options = f"{{ path = {json.dumps(str(model.absolute()))} }}"
    (folder / "stokerd.toml").write_text(
        f'[engines.texts]\npython = "{python}"\nmodel = "sentence_transformers"\noptions = {options}\n'
    )
    taken: dict[int, list[float]] = {MERGED: [], ONE_BY_ONE: []}
    daemon = PrivateDaemon(folder / "data", args=["--config", str(folder / "stokerd.toml")])
    with daemon, Client(daemon.control, timeout_s=60) as client:
        seconds(client, ["warm up"], MERGED)  # the first job waits for the imports
        for number in range(rounds):
            for batch_size in (MERGED, ONE_BY_ONE) if number % 2 == 0 else (ONE_BY_ONE, MERGED):
                wanted = [f"text {each} of round {number}" for each in range(texts)]
                taken[batch_size].append(seconds(client, wanted, batch_size))
    ratios = [one / merged for one, merged in zip(taken[ONE_BY_ONE], taken[MERGED], strict=True)]
    rates = [texts / statistics.median(taken[each]) for each in (MERGED, ONE_BY_ONE)]
    made_of = f"({min(ratios):.1f}-{max(ratios):.1f}); {rates[0]:.0f} and {rates[1]:.0f} embeddings/s"
    return Figure("merged embeddings, to one by one", statistics.median(ratios), "", ">=", TARGET, made_of)


def seconds(client: Client, texts: list[str], batch_size: int) -> float:
    """What a job of these texts takes, from its submit to its end."""
    began_s = time.monotonic()
    job = client.submit(texts, batch_size=batch_size)
    ended = client.wait(job.job_id, TIMEOUT_S)
    assert ended.state is JobState.SUCCEEDED, ended
    return time.monotonic() - began_s


if __name__ == "__main__":
    main()
