"""A real llama.cpp server, named by STOKER_TEST_LLAMA_SERVER, does hundreds of interactions over several models."""

import json
from pathlib import Path
from random import Random
from typing import Any

import pytest
from tests.conformance.real_llama import MODELS, SLOTS, LlamaServer
from tests.fault.audit import audit, audit_settled
from tests.system.daemons import Rig, a_rig, config
from tests.worker.processes import wait_for

from stoker_protocol.jobs import ItemCounts

ENGINE = f"""
[engines.llm]
kind = "openai"
url = "URL"
limits.concurrency = {SLOTS}
"""
SWAPPING, ON_GPU = f"{ENGINE}swaps = true\n", f'{ENGINE}lane = "gpu"\n'
INTERACTIONS = 250
FEW = {"max_tokens": 4, "temperature": 0}


def a_daemon(folder: Path, server: LlamaServer, engine: str) -> Any:
    """One that has the server."""
    return a_rig(folder, config(crash_limit=30, engines=engine.replace("URL", server.url)))


def work_through(rig: Rig, number: int) -> None:
    """So many jobs of one question each, for all models in any order, that are there before the first begins."""
    work = [(MODELS[place % len(MODELS)], f"question {place}") for place in range(number)]
    Random(1).shuffle(work)
    rig.client.pause()
    jobs = [rig.client.submit([text], model=model, params=FEW).job_id for model, text in work]
    rig.client.resume()
    assert {rig.wait(job).state.value for job in jobs} == {"succeeded"}


@pytest.mark.parametrize("engine", [SWAPPING, ON_GPU], ids=["of its own", "on the GPU"])
def test_each_model_is_loaded_once(tmp_path: Path, engine: str) -> None:
    """We expect hundreds of interactions over five models in any order to make it load each of them once."""
    with LlamaServer(tmp_path / "llama") as server, a_daemon(tmp_path, server, engine) as rig:
        work_through(rig, INTERACTIONS)
        assert sorted(server.loads) == MODELS
        rig.stop()
        assert audit(rig.data_dir).states == {"succeeded": INTERACTIONS}  # the next daemon may have to sum some up


def test_answers_are_those_of_their_models(tmp_path: Path) -> None:
    """We expect the same words of a model each time, others of another model, with usage and why they ended."""
    with LlamaServer(tmp_path / "llama") as server, a_daemon(tmp_path, server, SWAPPING) as rig:
        said: list[str] = []
        for model in (MODELS[0], MODELS[1], MODELS[0]):
            job_id = rig.client.submit(["hello"], model=model, params=FEW).job_id
            assert rig.wait(job_id).state == "succeeded"
            (file,) = rig.client.fetch(job_id, tmp_path / job_id)
            said.append(file.read_text())
            (record,) = (rig.data_dir / "outputs").glob(f"*/{job_id}/metadata/*.json")
            assert json.loads(record.read_text())["record"]["usage"]["completion_tokens"] == FEW["max_tokens"]
        assert said[0] == said[2] != said[1]


def test_what_it_refuses(tmp_path: Path) -> None:
    """We expect a prompt that is too long to fail as invalid with the server's words, and its neighbours to succeed."""
    with LlamaServer(tmp_path / "llama") as server, a_daemon(tmp_path, server, SWAPPING) as rig:
        job_id = rig.client.submit(["short", "far too long " * 2000, "short"], model=MODELS[0], params=FEW).job_id
        rig.wait(job_id)
        first, second, third = rig.items(job_id)
        assert (first.state, third.state) == ("succeeded", "succeeded")
        assert second.error is not None
        assert (second.error.kind, "context" in second.error.message) == ("invalid", True)


def test_killed_in_the_middle(tmp_path: Path) -> None:
    """We expect each interaction to succeed once although server and daemon are killed while they are at work."""
    with LlamaServer(tmp_path / "llama") as server, a_daemon(tmp_path, server, SWAPPING) as rig:
        total = 80
        params = {"max_tokens": 40, "temperature": 0}
        jobs = [
            rig.client.submit([f"question {n}" for n in range(total // 2)], model=model, params=params).job_id
            for model in MODELS[:2]
        ]
        for done in (10, 30, 50):
            wait_for(lambda done=done: sum(job.items.succeeded for job in rig.client.jobs()) >= done)
            server.kill()
            if done == 30:
                rig.kill()
            server.start()
            if done == 30:
                rig.restart()
        for job_id in jobs:
            assert rig.wait(job_id).items == ItemCounts(total=total // 2, succeeded=total // 2)
        rig.stop()
        assert audit_settled(rig.data_dir).states == {"succeeded": total}


def test_vectors(tmp_path: Path) -> None:
    """We expect texts of several jobs to share requests, each to get the vector that it gets alone."""
    options = ("--embeddings", "--pooling", "mean", "--ctx-size", "4096")
    with LlamaServer(tmp_path / "llama", *options) as server, a_daemon(tmp_path, server, ENGINE) as rig:
        texts = [
            f"text {number:02}" for number in range(40)
        ]  # of one length: others are pooled in parts by some versions
        alone = rig.client.submit([{"params": {"input": text}} for text in texts], model=MODELS[0], batch_size=1).job_id
        assert rig.wait(alone).items.succeeded == len(texts)
        rig.client.pause()
        jobs = [rig.client.submit([{"params": {"input": text}}], model=MODELS[0]).job_id for text in texts]
        rig.client.resume()
        for job_id, file in zip(jobs, sorted(rig.client.fetch(alone, tmp_path / "alone")), strict=True):
            assert rig.wait(job_id).state == "succeeded"
            (mine,) = rig.client.fetch(job_id, tmp_path / job_id)
            assert json.loads(mine.read_text()) == pytest.approx(json.loads(file.read_text()), abs=1e-4)
            (record,) = (rig.data_dir / "outputs").glob(f"*/{job_id}/metadata/*.json")
            assert json.loads(record.read_text())["record"]["texts"] == len(texts)
