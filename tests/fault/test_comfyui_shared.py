"""Prompts that several items share, while the daemon, the server or the wish for an item ends."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.system.comfyui_studio import FakeStudio, a_studio, knights
from tests.worker.processes import wait_for

from stoker_protocol.jobs import Item, JobState


def check(studio: FakeStudio, items: Sequence[Item], asked: Sequence[dict[str, Any]]) -> None:
    """Each picture is of its own item, and says so."""
    assert len(set(studio.pixels(items))) == len(items)
    for item, params in zip(items, asked, strict=True):
        told, graph = studio.texts(item)
        assert graph["positive"]["inputs"]["text"] == told["params"]["prompt"] == params["prompt"]
        assert graph["sampler"]["inputs"]["seed"] == told["params"]["seed"] == params["seed"]


def test_the_daemon_is_killed_while_items_share_a_prompt(tmp_path: Path) -> None:
    """We expect the next daemon to follow the prompt to its end and to make nothing again."""
    with a_studio(tmp_path, hold=True) as studio:
        asked = knights(16)
        job_id = studio.submit(asked)
        wait_for(lambda: studio.server.state()["held"])
        studio.rig.restart()
        studio.server.defects(hold=False)
        studio.server.release()
        assert studio.rig.wait(job_id).items.succeeded == 16
        assert Counter(studio.prompts()) == Counter(dict.fromkeys(studio.prompts(), 1))
        assert len(studio.prompts()) == 2
        check(studio, studio.rig.items(job_id), asked)


def test_a_shared_prompt_ends_while_no_daemon_is_there(tmp_path: Path) -> None:
    """We expect all of its items to be taken from the history."""
    with a_studio(tmp_path, hold=True) as studio:
        asked = knights(8)
        job_id = studio.submit(asked)
        wait_for(lambda: studio.server.state()["held"])
        studio.rig.kill()
        studio.server.release()
        wait_for(lambda: not studio.server.state()["held"])
        studio.rig.restart()
        assert studio.rig.wait(job_id).items.succeeded == 8
        assert len(studio.prompts()) == 1
        check(studio, studio.rig.items(job_id), asked)


def test_the_daemon_is_killed_while_a_poison_item_is_looked_for(tmp_path: Path) -> None:
    """We expect the search to go on where it was: no prompt is begun twice, and one item fails."""
    with a_studio(tmp_path, hold=True, poison="cursed") as studio:
        asked = knights(8)
        asked[5]["prompt"] = "a cursed knight"
        job_id = studio.submit(asked, max_attempts=1)
        wait_for(lambda: studio.server.state()["held"])
        studio.server.release()
        wait_for(lambda: len(studio.prompts()) == 2 and studio.server.state()["held"])
        studio.rig.restart()
        studio.server.defects(hold=False)
        studio.server.release()
        job = studio.rig.wait(job_id)
        assert (job.items.succeeded, job.items.failed) == (7, 1)
        assert len(studio.prompts()) == len(set(studio.prompts())) == 7
        items = studio.rig.items(job_id)
        check(
            studio, [item for item in items if item.artifacts], [one for one in asked if "cursed" not in one["prompt"]]
        )


def test_the_server_is_killed_while_items_share_a_prompt(tmp_path: Path) -> None:
    """We expect what a restarted server has forgotten to be made again, each item once, at no item's cost."""
    with a_studio(tmp_path, hold=True) as studio:
        asked = knights(8)
        job_id = studio.submit(asked, max_attempts=1)
        wait_for(lambda: studio.server.state()["held"])
        studio.server.restart()
        studio.server.defects(hold=False)
        studio.server.release()
        assert studio.rig.wait(job_id).items.succeeded == 8
        check(studio, studio.rig.items(job_id), asked)


def test_one_of_several_jobs_in_a_prompt_is_cancelled(tmp_path: Path) -> None:
    """We expect that only its items end as cancelled, without a file; the others are made in the same prompt."""
    with a_studio(tmp_path, scheduling="", hold=True) as studio:
        studio.rig.client.pause()
        asked = knights(8)
        jobs = [studio.submit(asked[start : start + 2]) for start in (0, 2, 4, 6)]
        studio.rig.client.resume()
        wait_for(lambda: studio.server.state()["held"])
        studio.rig.client.cancel(jobs[1])
        wait_for(lambda: studio.rig.client.job(jobs[1]).state is JobState.CANCELLING)
        studio.server.release()
        ended = [studio.rig.wait(job_id) for job_id in jobs]
        assert [job.state for job in ended] == [
            JobState.SUCCEEDED,
            JobState.CANCELLED,
            JobState.SUCCEEDED,
            JobState.SUCCEEDED,
        ]
        assert len(studio.prompts()) == 1
        assert [item.artifacts for item in studio.rig.items(jobs[1])] == [[], []]
        for job_id, start in ((jobs[0], 0), (jobs[2], 4), (jobs[3], 6)):
            check(studio, studio.rig.items(job_id), asked[start : start + 2])
            assert {studio.record(item)["batch"]["size"] for item in studio.rig.items(job_id)} == {8}


def test_all_jobs_of_a_prompt_are_cancelled(tmp_path: Path) -> None:
    """We expect that the prompt is stopped, and that whoever waits is served."""
    with a_studio(tmp_path, scheduling="", hold=True) as studio:
        studio.rig.client.pause()
        jobs = [studio.submit(knights(2)) for _ in range(2)]
        studio.rig.client.resume()
        wait_for(lambda: studio.server.state()["held"])
        for job_id in jobs:
            studio.rig.client.cancel(job_id)
        assert [studio.rig.wait(job_id).state for job_id in jobs] == [JobState.CANCELLED] * 2
        studio.server.defects(hold=False)
        assert len(studio.made(knights(2))) == 2
