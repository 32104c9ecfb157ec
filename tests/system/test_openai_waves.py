"""A server of language models on the GPU, which loads what it is asked for: it is asked in waves."""

from contextlib import closing
from pathlib import Path
from random import Random

from tests.fakes.openai.harness import OpenAIProcess
from tests.fakes.openai.words import MODELS
from tests.fault.audit import connect
from tests.system.daemons import Rig, a_rig, config

from stoker_daemon.scheduling.costs import Costs
from stoker_protocol.jobs import JobState

ENGINE = """
[engines.llm]
kind = "openai"
url = "{url}"
lane = "gpu"
limits.concurrency = 4
"""
JOBS = 60


def work_through(rig: Rig, *models: str) -> None:
    """A job of one item for each of these models, all of which are there before the first begins."""
    rig.client.pause()
    jobs = [rig.client.submit([f"question {number}"], model=model).job_id for number, model in enumerate(models)]
    rig.client.resume()
    assert {rig.wait(job).state for job in jobs} == {JobState.SUCCEEDED}


def shuffled(*models: str) -> list[str]:
    """So many jobs for these models, in any order."""
    work = [models[number % len(models)] for number in range(JOBS)]
    Random(1).shuffle(work)
    return work


def test_each_model_is_loaded_once(tmp_path: Path) -> None:
    """Jobs for five models that came in any order make the server load some five times, and not with most jobs."""
    with OpenAIProcess(load_s=0.05) as server, a_rig(tmp_path, config(engines=ENGINE.format(url=server.url))) as rig:
        work_through(rig, *shuffled(*MODELS))
        loads = server.state()["loads"]
    assert set(loads) == set(MODELS)
    assert len(loads) <= 8


def test_what_a_load_costs(tmp_path: Path) -> None:
    """That the first run of a model took longer, because the server loaded it, is learned as what its load costs."""
    with OpenAIProcess(load_s=0.3) as server, a_rig(tmp_path, config(engines=ENGINE.format(url=server.url))) as rig:
        work_through(rig, *shuffled(*MODELS[:2]))
        rig.stop()
        with closing(connect(rig.data_dir)) as connection:
            ((learned,),) = connection.execute("SELECT value FROM meta WHERE key = 'costs of gpu'").fetchall()
    loads = Costs.decoded(learned.encode()).loads
    assert sorted(name.split("\x1f")[1] for name in loads) == sorted(MODELS[:2])
    assert all(load.seconds > 0 for load in loads.values())
