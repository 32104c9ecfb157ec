"""The log as it is searched: each line that is about work has the ids of run, job and client, and none has a secret."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.fault.disks import small_disk
from tests.system.daemons import FAULTS, Rig, a_rig, config
from tests.worker.processes import wait_for

SECRET = "sk-never-told"
OF_A_RUN = {
    "an engine is down": "error",
    "a run does not stop by itself": "warning",
    "an item failed": "warning",
    "an item will be tried again": "info",
    "a run was cut short": "info",
}
OF_A_JOB = {
    "a job was accepted": "info",
    "a job is held back": "info",
    "a job was cancelled": "info",
    "a job ended": "info",
}


def lines(rig: Rig) -> Iterator[dict[str, Any]]:
    """What the daemon logged as JSON."""
    for line in (rig.data_dir / "stokerd.log").read_text().splitlines():
        if line.startswith('{"at"'):
            yield json.loads(line)


def a_full_life(rig: Rig) -> set[str]:
    """Jobs that fail, crash, hang, are cancelled and held back, and a daemon that is killed; the ids of the jobs."""
    failed = rig.run({"prompt": "a", "do": "fail"}, "b", max_attempts=2).job_id
    crashed = rig.run({"prompt": "c", "do": "exit"}).job_id
    hung = rig.submit({"prompt": "d", "do": "hang", "ignore_sigterm": True}, timeout_s=0.3, max_attempts=1)
    rig.wait(hung)
    gate = rig.gate()
    running = rig.submit(gate.item("e"))
    gate.wait()
    held = rig.submit("f")
    rig.client.pause(held, reason="not yet")
    rig.client.cancel(held)
    rig.restart()
    gate.open()
    rig.wait(running)
    return {failed, crashed, hung, running, held}


def test_each_line_about_work_has_its_ids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """We expect run, job and client on lines about runs, job and client on those about jobs, at levels that fit."""
    monkeypatch.setenv("API_KEY", SECRET)
    engine = '[engines.llm]\nkind = "openai"\nurl = "http://127.0.0.1:9/v1"\napi_key_env = "API_KEY"\n'
    with a_rig(tmp_path, config(engines=FAULTS + engine), args=["--log-level", "debug"]) as rig:
        jobs = a_full_life(rig)
    told = list(lines(rig))
    found = {line["event"] for line in told}
    assert found >= {*OF_A_RUN, *OF_A_JOB}
    for line in told:
        if line["event"] in OF_A_RUN:
            assert line["run"]
        if line["event"] in {*OF_A_RUN, *OF_A_JOB}:
            assert line["job"] in jobs, line
            assert line["level"] == {**OF_A_RUN, **OF_A_JOB}[line["event"]]
            assert line["event"] == "a run was cut short" or line["client"] == "local"
        if line["event"].startswith("an item"):
            assert (type(line["item"]), type(line["attempt"])) == (int, int)
    assert SECRET not in (rig.data_dir / "stokerd.log").read_text()
    ended = {line["job"] for line in told if line["event"] in ("a job ended", "a job was cancelled")}
    assert ended == jobs


@pytest.mark.skipif(os.geteuid() != 0, reason="a disk of its own takes root")
def test_a_run_that_waits_for_the_disk_says_which(tmp_path: Path) -> None:
    """We expect the line that tells of a full disk to name the run that waits for it, its job and its client."""
    with small_disk(tmp_path / "data" / "outputs") as disk, a_rig(tmp_path) as rig:
        disk.fill()
        job_id = rig.submit("a")
        wait_for(lambda: rig.client.snapshot().lanes[0].held_up)
        (line,) = (line for line in lines(rig) if line["event"] == "held up by the disk")
        disk.free()
        rig.wait(job_id)
    assert (line["job"], line["client"], line["level"]) == (job_id, "local", "warning")
    assert line["run"]
    assert "make room" in line["why"]
