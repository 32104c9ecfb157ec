"""What jobs have on disk is listed, added up and, when it is old, removed: all of that and nothing else."""

import json
from pathlib import Path

import pytest
from tests.fault.disks import small_disk
from tests.system.daemons import Rig, a_rig
from tests.worker.processes import wait_for

from stoker_client.errors import InvalidState, NotFound, StorageUnavailable
from stoker_protocol.jobs import JobState
from stoker_protocol.replies import ErrorReply
from stoker_protocol.requests import ReadArtifact


def clean_all(rig: Rig, jobs: int = 1) -> None:
    """Remove the files of that many jobs, as soon as they are summed up."""
    wait_for(lambda: rig.client.clean_outputs(0.0, dry_run=True).jobs >= jobs)
    assert rig.client.clean_outputs(0.0).jobs == jobs


def folder_of(rig: Rig, job_id: str) -> str:
    """The folder of a job that has files."""
    (found,) = rig.client.outputs(job_id)
    return found.folder


def test_jobs_with_files_are_listed(rig: Rig) -> None:
    """We expect each job that has files with their number and bytes, newest first, and their folder to hold them."""
    first, second = rig.run("a", "bb").job_id, rig.run("ccc").job_id
    rig.run({"prompt": "none", "do": "fail"})
    listed = list(rig.client.outputs())
    assert [(one.job_id, one.artifacts, one.bytes) for one in listed] == [(second, 1, 3), (first, 2, 3)]
    assert all((rig.data_dir / one.folder / "files").is_dir() for one in listed)
    page = rig.client.output_totals()
    assert page.totals is not None
    assert [(t.engine, t.media_type, t.artifacts, t.bytes) for t in page.totals] == [("faults", "text/plain", 3, 6)]
    assert 0 < page.disk.free <= page.disk.total


def test_the_folder_tells_of_the_job(rig: Rig) -> None:
    """We expect the summary beside the files to say of each item what was asked for and what became of it."""
    job = rig.run("good", {"prompt": "bad", "do": "fail"}, params={"seed": 7}, max_attempts=1)
    folder = rig.data_dir / folder_of(rig, job.job_id)
    wait_for((folder / "index.html").exists)
    told = json.loads((folder / "batch_info.json").read_bytes())
    assert told["params"]["seed"] == 7
    good, bad = told["artifacts"]["items"]
    assert (good["state"], good["params"]["prompt"], len(good["files"])) == ("succeeded", "good", 1)
    assert (bad["state"], bad["params"]["prompt"], bad["files"]) == ("failed", "bad", [])
    assert bad["error"]["message"]


def test_only_old_files_go(rig: Rig) -> None:
    """We expect nothing younger than the age to go, and a dry run to remove nothing at all."""
    job_id = rig.run("a", "b").job_id
    wait_for(lambda: rig.client.clean_outputs(0.0, dry_run=True).artifacts == 2)
    assert rig.client.clean_outputs(3600.0).jobs == 0
    assert (rig.data_dir / folder_of(rig, job_id) / "batch_info.json").is_file()


def test_jobs_at_work_are_not_touched(rig: Rig) -> None:
    """We expect the files of a job that still runs to stay while those of a finished one go."""
    gate = rig.gate()
    done = rig.run("a").job_id
    at_work = rig.submit("made", gate.item("held"), batch_size=1)
    gate.wait()
    (made, _) = rig.items(at_work)
    clean_all(rig)
    assert list(rig.client.outputs(done)) == []
    assert (rig.data_dir / made.artifacts[0].path).read_text() == "made"
    gate.open()
    assert rig.wait(at_work).items.succeeded == 2


def test_what_was_removed_is_not_found(rig: Rig) -> None:
    """We expect the job to stay known without its files, and a question for one of them to be answered with a hint."""
    job_id = rig.run("a").job_id
    (artifact,) = rig.client.artifacts(job_id)
    folder = rig.data_dir / folder_of(rig, job_id)
    clean_all(rig)
    assert not folder.parent.exists()
    assert rig.client.job(job_id).state is JobState.SUCCEEDED
    assert rig.items(job_id)[0].artifacts == []
    reply = rig.ask(ReadArtifact(id="1", artifact_id=artifact.artifact_id))
    assert isinstance(reply, ErrorReply)
    assert (reply.code, "stoker outputs clean" in reply.hint) == ("not_found", True)


def test_a_file_that_somebody_removed(rig: Rig) -> None:
    """We expect a row whose file is gone to answer that, with what to do, and not to hinder a clean."""
    job_id = rig.run("a", "b").job_id
    first, _ = rig.client.artifacts(job_id)
    (rig.data_dir / first.path).unlink()
    with pytest.raises(NotFound) as refused:
        list(rig.client.fetch(job_id, rig.folder / "here"))
    assert "submit its item again" in refused.value.hint
    clean_all(rig)


def test_files_of_other_people_stay(rig: Rig) -> None:
    """We expect a note that somebody put beside the files to stay where it is."""
    job_id = rig.run("a").job_id
    note = rig.data_dir / folder_of(rig, job_id) / "files" / "note.txt"
    note.write_text("mine")
    clean_all(rig)
    assert [path.name for path in (rig.data_dir / "outputs").rglob("*") if path.is_file()] == ["note.txt"]
    note.unlink()


def test_a_cleaned_job_may_be_retried(rig: Rig) -> None:
    """We expect a retry after a clean to make new files, which are listed and can be cleaned again."""
    job = rig.run("good", {"prompt": "bad", "do": "fail", "times": 1, "kind": "invalid"})
    assert job.state is JobState.FAILED
    clean_all(rig)
    rig.client.retry(job.job_id)
    assert rig.wait(job.job_id).items.succeeded == 2
    (again,) = rig.client.outputs(job.job_id)
    assert again.artifacts == 1
    clean_all(rig)


def test_many_rows_go_in_steps(rig: Rig) -> None:
    """We expect a job with more files than one step takes to lose all of them."""
    job_id = rig.run(*(f"item {number}" for number in range(1200))).job_id
    wait_for(lambda: rig.client.clean_outputs(0.0, dry_run=True).artifacts == 1200)
    assert rig.client.clean_outputs(0.0).artifacts == 1200
    assert list(rig.client.artifacts(job_id)) == []


def test_a_removal_that_fails_goes_on_later(tmp_path: Path) -> None:
    """We expect a file that can't be removed to be named, no retry in between, and all to be well once it can."""
    with small_disk(tmp_path / "data" / "outputs") as disk, a_rig(tmp_path) as rig:
        job_id = rig.run("a", {"prompt": "b", "do": "fail"}).job_id
        wait_for(lambda: rig.client.clean_outputs(0.0, dry_run=True).jobs == 1)
        disk.forbid_writes()
        with pytest.raises(StorageUnavailable) as refused:
            rig.client.clean_outputs(0.0)
        assert job_id in refused.value.message
        with pytest.raises(InvalidState) as too_early:
            rig.client.retry(job_id)
        assert "outputs clean" in too_early.value.hint
        disk.allow_writes()
        assert rig.client.clean_outputs(0.0).artifacts == 1
        assert rig.client.retry(job_id).requeued == 1
        rig.wait(job_id)
        clean_all(rig)
