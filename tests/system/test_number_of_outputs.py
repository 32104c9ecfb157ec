"""An item may leave no file, one, or several, and has succeeded when the last of them is there."""

from pathlib import Path

from tests.system.daemons import a_rig

from stoker_protocol.jobs import JobState


def test_item_without_a_file(tmp_path: Path) -> None:
    """We expect an item that is merely done to succeed and to leave nothing in the tree."""
    with a_rig(tmp_path, outputs=0) as rig:
        job = rig.run(*({"prompt": str(number), "do": "done"} for number in range(10)))
        assert (job.state, job.items.succeeded) == (JobState.SUCCEEDED, 10)
        assert [item.artifacts for item in rig.items(job.job_id)] == [[]] * 10


def test_item_with_two_files(tmp_path: Path) -> None:
    """We expect both files of an item, in their order."""
    with a_rig(tmp_path, outputs=2) as rig:
        job = rig.run({"prompt": "pair", "do": "twice"})
        (item,) = rig.items(job.job_id)
        assert [artifact.output for artifact in item.artifacts] == [0, 1]


def test_death_between_two_files(tmp_path: Path) -> None:
    """We expect an item whose process died before its last file to have failed, and its first file to be gone."""
    with a_rig(tmp_path) as rig:
        job = rig.run({"prompt": "torn", "do": "die_between"})
        (item,) = rig.items(job.job_id)
        assert (job.state, item.error and item.error.kind, item.artifacts) == (JobState.FAILED, "crash", [])
        assert not list((rig.data_dir / "outputs").rglob("0000*"))
