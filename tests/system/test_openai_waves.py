"""A server of language models on the GPU, which loads what it is asked for: it is asked in waves."""

from pathlib import Path
from random import Random

from tests.fakes.openai.harness import OpenAIProcess
from tests.fakes.openai.words import MODELS
from tests.system.daemons import a_rig, config

from stoker_protocol.jobs import JobState

ENGINE = """
[engines.llm]
kind = "openai"
url = "{url}"
lane = "gpu"
limits.concurrency = 4
"""
JOBS = 60


def test_each_model_is_loaded_once(tmp_path: Path) -> None:
    """Jobs for five models that came in any order make the server load some five times, and not with most jobs."""
    with OpenAIProcess(load_s=0.05) as server, a_rig(tmp_path, config(engines=ENGINE.format(url=server.url))) as rig:
        rig.client.pause()
        work = [MODELS[number % len(MODELS)] for number in range(JOBS)]
        Random(1).shuffle(work)
        jobs = [rig.client.submit([f"question {number}"], model=model).job_id for number, model in enumerate(work)]
        rig.client.resume()
        assert {rig.wait(job).state for job in jobs} == {JobState.SUCCEEDED}
        loads = server.state()["loads"]
    assert set(loads) == set(MODELS)
    assert len(loads) <= 8
