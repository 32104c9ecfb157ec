"""Measures interactions with several models on a server that swaps them, and jobs of one item at a provider."""

import json
import random
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path

import click
from tests.fakes.openai.harness import OpenAIProcess
from tests.fakes.openai.words import MODELS

from benchmarks.core.figures import Figure
from stoker_client import Client
from stoker_client.private_daemon import PrivateDaemon
from stoker_protocol.jobs import JobState

ENGINE = '[engines.llm]\nkind = "openai"\nurl = "{url}"\nlimits.concurrency = 5\n{more}'
TIMEOUT_S = 600.0
TOKEN_S = 0.02
"""What a token takes at the provider; answers have three to seven."""

AT_PROVIDER = 100
"""So many of the interactions are enough there."""

Interaction = tuple[str, str]
"""A model and a prompt."""


@click.command()
@click.option("--interactions", default=500, show_default=True, help="Jobs of one item, over five models.")
@click.option("--one-by-one", default=40, show_default=True, help="So many of them one after the other, to compare.")
@click.option("--load-s", default=1.0, show_default=True, help="Seconds that the server takes to load a model.")
@click.option("--quick", is_flag=True, help="As little as possible: whether it works, not how fast it is.")
@click.option("--folder", type=click.Path(path_type=Path), help="On the disk to measure.  [default: here]")
@click.option("--output", type=click.Path(path_type=Path), help="Also write the figures there as JSON.")
def main(
    interactions: int, one_by_one: int, load_s: float, quick: bool, folder: Path | None, output: Path | None
) -> None:
    """Measure how much faster work for several models is in waves, and jobs of one item in lanes of their own."""
    interactions, one_by_one, load_s = (20, 10, 0.05) if quick else (interactions, one_by_one, load_s)
    work = [(MODELS[number % len(MODELS)], f"question {'x' * (number % 5)} {number}") for number in range(interactions)]
    random.Random(1).shuffle(work)
    with tempfile.TemporaryDirectory(dir=folder or Path.cwd()) as scratch:
        figures = [waves(work, one_by_one, load_s, Path(scratch)), slots(work[:AT_PROVIDER], Path(scratch))]
    for figure in figures:
        print(figure.row())
    if output:
        output.write_text(json.dumps({"figures": [figure.shape() for figure in figures]}, indent=2) + "\n")


def waves(work: Sequence[Interaction], one_by_one: int, load_s: float, folder: Path) -> Figure:
    """Interactions a second on a server that has one model at a time, to those of a client that asks in order."""
    with OpenAIProcess(load_s=load_s) as server:
        began_s = time.monotonic()
        for model, prompt in work[:one_by_one]:
            _ask(server.url, model, prompt)
        theirs = one_by_one / (time.monotonic() - began_s)
        their_loads = len(server.state()["loads"])
    with OpenAIProcess(load_s=load_s) as server:
        ours = len(work) / _seconds(server.url, work, "swaps = true", folder)
        loads = len(server.state()["loads"])
    made_of = f"{loads} loads for {len(work)} at {ours:.1f}/s; {their_loads} for {one_by_one} at {theirs:.1f}/s"
    return Figure("interactions over five models, to one by one", ours / theirs, "", ">=", 3, made_of)


def slots(work: Sequence[Interaction], folder: Path) -> Figure:
    """Jobs of one item a second in lanes of their own, to those of one lane that takes several into a run."""
    rates: list[float] = []
    for more in ("", "swaps = true"):
        with OpenAIProcess(token_s=TOKEN_S) as server:
            rates.append(len(work) / _seconds(server.url, [(MODELS[0], prompt) for _, prompt in work], more, folder))
    made_of = f"five requests at a time: {rates[0]:.1f} and {rates[1]:.1f} jobs/s"
    return Figure("jobs of one item in lanes of their own, to runs", rates[0] / rates[1], "", ">=", 0.9, made_of)


def _seconds(url: str, work: Sequence[Interaction], more: str, folder: Path) -> float:
    """What a daemon takes for jobs of one item each, from the moment when it may begin."""
    with tempfile.TemporaryDirectory(dir=folder) as data:
        config = Path(data) / "stoker.toml"
        config.write_text(ENGINE.format(url=url, more=more))
        daemon = PrivateDaemon(Path(data) / "data", args=["--config", str(config)])
        daemon.start()
        try:
            with Client(daemon.control) as client:
                client.pause()
                jobs = [client.submit([prompt], model=model).job_id for model, prompt in work]
                began_s = time.monotonic()
                client.resume()
                for job_id in reversed(jobs):
                    _wait(client, job_id, began_s + TIMEOUT_S)
                return time.monotonic() - began_s
        finally:
            daemon.stop()


def _wait(client: Client, job_id: str, until_s: float) -> None:
    while not (job := client.job(job_id)).state.is_final:
        assert time.monotonic() < until_s, job
        time.sleep(0.02)
    assert job.state is JobState.SUCCEEDED, job


def _ask(url: str, model: str, prompt: str) -> None:
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": prompt}]}).encode()
    request = urllib.request.Request(url + "/chat/completions", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=TIMEOUT_S) as reply:
        reply.read()


if __name__ == "__main__":
    main()
