"""A worker that holds several models dies at random while batches of them run, and some of its items are killers."""

import os
import random
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tests.fault.audit import audit_settled
from tests.system.daemons import REPOSITORY, Rig, a_rig, config
from tests.worker.processes import wait_for

from stoker_protocol.events import ModelLoaded
from stoker_protocol.jobs import ItemCounts, JobState

MODELS = ("a", "b", "c")
ITEMS, DEATHS = 60, 8
ENGINE = f"""
[engines.faults]
python_path = ["{REPOSITORY}"]
cache_mb = 64
memory_limit_mb = 400
""" + "".join(
    f'[engines.faults.models.{name}]\nmodel = "tests.models.faults:Faults"\n'
    f"options = {{ hold_mb = 20, max_batch = 4, bytes = {{ one = {21 << 20} }} }}\n"
    for name in MODELS
)
KILLERS = ("segfault", "garbage", "eat_and_abort")
EATER = "eat"


def test_several_models_at_random_moments(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    """We expect each item of three models to succeed once, and a death to cost the load of one model at most."""
    seed = random.randrange(1 << 32)
    record_property("seed of the deaths among several models", seed)
    dice = random.Random(seed)
    with a_rig(tmp_path, config(crash_limit=30, engines=ENGINE)) as rig:
        jobs = {name: _submit(rig, name) for name in MODELS}
        for moment in sorted(dice.sample(range(1, 3 * ITEMS - 10), DEATHS)):
            wait_for(lambda moment=moment: len(rig.executed()) >= moment)
            if dice.random() < 0.25:
                rig.restart()
            else:
                with suppress(ProcessLookupError, FileNotFoundError):
                    os.kill(rig.worker_pid, signal.SIGKILL)
        for job_id in jobs.values():
            job = rig.wait(job_id)
            assert (job.state, job.items) == (JobState.SUCCEEDED, ItemCounts(total=ITEMS, succeeded=ITEMS))
        assert len(rig.events(ModelLoaded)) <= len(MODELS) + DEATHS
        rig.stop()
        assert audit_settled(rig.data_dir).states == {"succeeded": 3 * ITEMS}


def test_killers_and_eaters_among_several_models(tmp_path: Path) -> None:
    """We expect only killers and eaters to fail, each for what it is, and the jobs of other models to lose nothing."""
    with a_rig(tmp_path, config(engines=ENGINE)) as rig:
        bad = rig.submit("x", *({"prompt": do, "do": do} for do in (*KILLERS, EATER)), "y", model="b", max_attempts=5)
        good = [rig.submit(*(f"{name} {n}" for n in range(6)), model=name) for name in ("a", "c")]
        for job_id in good:
            assert rig.wait(job_id).items == ItemCounts(total=6, succeeded=6)
        rig.wait(bad)
        kinds = [item.error and item.error.kind for item in rig.items(bad)]
        assert kinds == [None, "crash", "crash", "oom", "oom", None]
        executions = rig.executions()
        assert all(executions[f"{name} {n}"] == 1 for name in ("a", "c") for n in range(6))


def test_cancel_between_deaths(tmp_path: Path) -> None:
    """We expect a cancelled job to end while its worker dies, hangs and dies again, and others to succeed."""
    with a_rig(tmp_path, config(engines=ENGINE)) as rig:
        gate = rig.gate()
        held = rig.submit(gate.item("held"), {"prompt": "killer", "do": "kill"}, model="a", max_attempts=9)
        other = rig.submit("other", {"prompt": "again", "do": "kill", "times": 1}, model="b", max_attempts=9)
        gate.wait()
        os.kill(rig.worker_pid, signal.SIGKILL)
        wait_for(lambda: rig.executions()["held"] >= 2)
        os.kill(rig.worker_pid, signal.SIGSTOP)
        rig.client.cancel(held)
        assert rig.wait(held).state is JobState.CANCELLED
        assert rig.wait(other).items == ItemCounts(total=2, succeeded=2)
        assert rig.executions()["killer"] == 0


def _submit(rig: Rig, model: str) -> str:
    items = [f"{model} {n}" for n in range(ITEMS)]
    return rig.submit(*items, model=model, params={"steps": 60}, max_attempts=20)
