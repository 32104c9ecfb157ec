"""An engine that can't be started is named, and its jobs wait for it instead of failing."""

import sys
from pathlib import Path

from tests.system.daemons import FAULTS, REPOSITORY, Rig, a_rig, config
from tests.worker.processes import wait_for

from stoker_protocol.events import EngineDown, RunStarted
from stoker_protocol.jobs import JobState


def _away(folder: Path) -> str:
    """An engine whose interpreter is not there, beside one that works, on the same lane."""
    return f"""
[engines.away]
model = "tests.models.faults:Faults"
python = "{folder}/interpreter"
python_path = ["{REPOSITORY}"]
"""


def _bring_back(folder: Path) -> None:
    interpreter = folder / "interpreter"
    interpreter.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    interpreter.chmod(0o755)


def _is_named(rig: Rig) -> bool:
    report = rig.client.health()
    return not report.ready and any(f.part == "engine away" and "interpreter" in f.detail for f in report.findings)


def test_healthy_daemon(rig: Rig) -> None:
    """We expect all parts to be named as well, and the daemon to be ready."""
    report = rig.client.health()
    assert report.ready
    parts = {finding.part for finding in report.findings if finding.ok}
    assert {"store", "lane gpu", "engine faults"} <= parts


def test_jobs_wait_for_an_engine_that_is_away(tmp_path: Path) -> None:
    """We expect its jobs to be taken and to wait, at no attempt, until the engine can be started."""
    with a_rig(tmp_path, config(engines=_away(tmp_path))) as rig:
        wait_for(lambda: _is_named(rig))
        job_id = rig.submit(*(f"item {n}" for n in range(20)), max_attempts=1)
        wait_for(lambda: len(rig.events(EngineDown)) >= 3)
        assert _is_named(rig)
        (engine,) = rig.client.engines()
        assert (engine.state, engine.models) == ("down", [])
        assert not rig.client.job(job_id).state.is_final
        _bring_back(tmp_path)
        assert rig.wait(job_id).state is JobState.SUCCEEDED
        assert {item.attempts for item in rig.items(job_id)} == {1}
        assert set(rig.executions().values()) == {1}
        wait_for(lambda: rig.client.health().ready)


def test_engine_that_is_away_holds_up_no_other(tmp_path: Path) -> None:
    """We expect one try after another to start it, each later than the last, however many items wait for it."""
    text = config(engines=_away(tmp_path) + FAULTS, backoff_base_s=0.2, backoff_max_s=60)
    with a_rig(tmp_path, text) as rig:
        waiting = rig.submit(*(str(n) for n in range(100)), engine="away", priority="urgent")
        assert rig.run(*(f"other {n}" for n in range(20)), engine="faults").state is JobState.SUCCEEDED
        wait_for(lambda: len(rig.events(EngineDown)) >= 3)
        downs = [event.at_ms for event in rig.events(EngineDown)]
        assert downs[1] - downs[0] >= 100
        assert downs[2] - downs[1] >= 200
        tried = [event for event in rig.events(RunStarted) if event.job.job_id == waiting]
        assert len(tried) <= len(rig.events(EngineDown)) + 1
        rig.client.cancel(waiting)
        assert rig.wait(waiting).state is JobState.CANCELLED
