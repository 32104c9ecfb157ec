"""Jobs of commands under a real daemon: their outcomes, and that no process outlives a cancel or a dead daemon."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.system.daemons import SPRITES, Rig, a_rig, config
from tests.worker.processes import is_alive, wait_for

from stoker_client.errors import BadRequest
from stoker_protocol.events import RunEscalated, RunFinished
from stoker_protocol.jobs import ItemState, JobState

TOOLS = """
[engines.tools]
kind = "command"
max_parallel = 4

[engines.tools.commands.check]
argv = ["sh", "-c", 'echo "checked $1"; exit $1', "sh", "{code}"]
parameters.code = { type = "integer" }
exit_codes = { "1" = "rejected", "5" = "skipped", "75" = "retry" }

[engines.tools.commands.stay]
argv = ["sh", "-c", '''
    trap "" TERM
    setsid sh -c "echo \\$\\$ >> pids; exec sleep 600" &
    (sleep 600 & echo $! >> pids)
    echo $$ >> pids
    touch ready
    wait''']
cwd = "."
"""


def _pids(rig: Rig) -> list[int]:
    """The processes of a command that stays, once all of them are there."""
    wait_for((rig.folder / "ready").exists)
    wait_for(lambda: len((rig.folder / "pids").read_text().splitlines()) == 3)
    return [int(line) for line in (rig.folder / "pids").read_text().splitlines()]


def _states(rig: Rig, job_id: str) -> Mapping[int, ItemState]:
    return {item.index: item.state for item in rig.items(job_id)}


def test_a_recipe_names_its_engine(tmp_path: Path) -> None:
    """We expect a job that names only a recipe to go to the engine that has it, and one unknown to be refused."""
    with a_rig(tmp_path, config(engines=SPRITES + TOOLS)) as rig:
        reply = rig.client.submit([{"params": {"code": 0}}], recipe="check")
        assert rig.client.wait(reply.job_id, 30).engine == "tools"
        with pytest.raises(BadRequest, match="recipe"):
            rig.client.submit([{"params": {"code": 0}}], recipe="chekc")


def test_outcomes(tmp_path: Path) -> None:
    """We expect each item to end as its exit code says, in the job's counts and events, with what was written kept."""
    with a_rig(tmp_path, config(engines=TOOLS)) as rig:
        items = [{"code": code} for code in (0, 1, 5, 2, 75)]
        job = rig.client.wait(rig.client.submit([{"params": each} for each in items], recipe="check").job_id, 30)
        assert (job.state, job.recipe, job.model) == (JobState.FAILED, "check", "")
        assert list(_states(rig, job.job_id).values()) == ["succeeded", "rejected", "skipped", "failed", "failed"]
        counts = job.items
        assert (counts.succeeded, counts.rejected, counts.skipped, counts.failed) == (1, 1, 1, 2)
        found = rig.items(job.job_id)
        assert [item.attempts for item in found] == [1, 1, 1, 1, 3]
        assert [len(item.artifacts) for item in found] == [1, 1, 1, 0, 0]
        assert [item.error and (item.error.kind, item.error.message) for item in found] == [
            None,
            ("rejected", "check exited with code 1: checked 1"),
            ("skipped", "check exited with code 5: checked 5"),
            ("invalid", "check exited with code 2: checked 2"),
            ("server_error", "check exited with code 75: checked 75"),
        ]
        told = [outcome.state for event in rig.events(RunFinished) for outcome in event.outcomes]
        assert sorted(told) == sorted(["succeeded", "rejected", "skipped", "failed", "pending", "pending", "failed"])
        assert rig.client.stats().failures == {"invalid": 1, "server_error": 3}


def test_rejected_items_can_be_tried_again(tmp_path: Path) -> None:
    """We expect a retry of what was rejected to forget what it had left, and to run it again."""
    with a_rig(tmp_path, config(engines=TOOLS)) as rig:
        job_id = rig.client.submit([{"params": {"code": 1}}], recipe="check").job_id
        assert rig.wait(job_id).items.rejected == 1
        rig.client.pause()
        rig.client.retry(job_id, states=[ItemState.REJECTED])
        assert [item.artifacts for item in rig.items(job_id)] == [[]]
        rig.client.resume()
        assert rig.wait(job_id).items.rejected == 1
        assert [len(item.artifacts) for item in rig.items(job_id)] == [1]


def test_cancel(tmp_path: Path) -> None:
    """We expect a cancel to end a command that does not want to, with all that it started, and the next job to run."""
    with a_rig(tmp_path, config(engines=TOOLS)) as rig:
        job_id = rig.client.submit([{}], recipe="stay").job_id
        pids = _pids(rig)
        rig.client.cancel(job_id)
        assert rig.wait(job_id).state is JobState.CANCELLED
        assert [pid for pid in pids if is_alive(pid)] == []
        assert [event.rung for event in rig.events(RunEscalated)] == ["interrupt", "terminate", "kill"]
        following = rig.client.submit([{"params": {"code": 0}}], recipe="check").job_id
        assert rig.wait(following).state is JobState.SUCCEEDED


def test_death_of_the_daemon(tmp_path: Path) -> None:
    """We expect a daemon's kill -9 to leave no process of a command, and the next daemon to run the item once more."""
    with a_rig(tmp_path, config(engines=TOOLS)) as rig:
        job_id = rig.client.submit([{}], recipe="stay").job_id
        pids = _pids(rig)
        rig.kill()
        wait_for(lambda: not any(map(is_alive, pids)))
        for name in ("ready", "pids"):
            (rig.folder / name).unlink()
        rig.restart()
        again = _pids(rig)
        assert not set(again) & set(pids)
        assert len(list((rig.data_dir / "scratch" / "tools").iterdir())) == 1
        rig.client.cancel(job_id)
        assert rig.wait(job_id).state is JobState.CANCELLED
        assert [pid for pid in again if is_alive(pid)] == []


def test_stop_of_the_daemon(tmp_path: Path) -> None:
    """We expect a daemon that stops to leave no process of a command either, and the item to be there for the next."""
    with a_rig(tmp_path, config(engines=TOOLS)) as rig:
        job_id = rig.client.submit([{}], recipe="stay").job_id
        pids = _pids(rig)
        rig.stop()
        assert [pid for pid in pids if is_alive(pid)] == []
        assert list((rig.data_dir / "workers").iterdir()) == []
        rig.daemon.start()
        rig.client.cancel(job_id)
        assert rig.wait(job_id).state is JobState.CANCELLED


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"recipe": "rm"}, "recipe"),
        ({"recipe": "check", "params": {"code": "1; id"}}, "params.code"),
        ({"recipe": "stay", "params": {"argv": ["id"]}}, "params.argv"),
        ({"recipe": "stay", "workflow": {"1": {"class_type": "id", "inputs": {}}}}, "workflow"),
    ],
)
def test_nothing_but_what_is_allowed(tmp_path: Path, options: dict[str, object], field: str) -> None:
    """We expect a job to choose among the commands and fill in their parameters, and nothing else."""
    with a_rig(tmp_path, config(engines=TOOLS)) as rig:
        with pytest.raises(BadRequest) as refused:
            rig.client.submit([{}], **options)  # pyright: ignore[reportArgumentType]  whatever a client may say
        assert refused.value.field == field
