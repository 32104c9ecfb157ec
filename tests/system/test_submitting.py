"""A job comes in once, whole and checked, and runs to its end."""

from typing import Any

import pytest
from tests.system.daemons import Rig

from stoker_client.errors import BadRequest, Conflict, NotFound
from stoker_protocol import codec
from stoker_protocol.events import JobSubmitted, RunFinished, RunStarted
from stoker_protocol.jobs import ItemCounts, JobState


def test_job_runs_to_its_end(rig: Rig) -> None:
    """We expect every item executed once, in order, with its own result, and the job told of as it went."""
    job = rig.run("a", "b", "c", name="three", metadata={"for": "tests"})
    assert (job.state, job.items) == (JobState.SUCCEEDED, ItemCounts(total=3, succeeded=3))
    assert (job.name, job.engine, job.model, job.client) == ("three", "faults", "one", "local")
    assert job.started_at_ms is not None
    assert job.finished_at_ms is not None
    assert job.created_at_ms <= job.started_at_ms <= job.finished_at_ms
    assert rig.executed() == ["a", "b", "c"]
    items = rig.items(job.job_id)
    assert [(rig.data_dir / item.artifacts[0].path).read_text() for item in items] == ["a", "b", "c"]
    assert len(rig.events(JobSubmitted)) == 1
    assert [event.run.indexes for event in rig.events(RunStarted)] == [[0, 1, 2]]
    assert [event.job.state for event in rig.events(RunFinished)] == [JobState.SUCCEEDED]


def test_item_parameters_lie_over_those_of_the_job(rig: Rig) -> None:
    """We expect an item's own parameters to win over the job's, and the job's over the defaults."""
    job = rig.run({"prompt": "own"}, {}, params={"prompt": "shared"})
    assert rig.executed() == ["own", "shared"]
    stored = [codec.unpack(item.params) for item in rig.client.items(job.job_id, with_params=True)]
    assert stored == [{"prompt": "own"}, {}]


def test_dry_run_changes_nothing(rig: Rig) -> None:
    """We expect a dry run to be answered like a submit and to leave no job, item or event."""
    answer = rig.client.submit(["a", "b"], job_id="dry", dry_run=True)
    assert (answer.job_id, answer.items, answer.model, answer.dry_run) == ("dry", 2, "one", True)
    with pytest.raises(NotFound):
        rig.client.job("dry")
    assert list(rig.client.jobs()) == []
    assert rig.events(JobSubmitted) == []


def test_submit_again_is_the_same_job(rig: Rig) -> None:
    """We expect the same submit, whenever it comes again, to be answered the same and to add nothing."""
    answers = [rig.client.submit(["a", "b"], job_id="twice", metadata={"x": 1, "y": 2})]
    answers.append(rig.client.submit(["a", "b"], job_id="twice", metadata={"y": 2, "x": 1}))
    rig.wait("twice")
    answers.append(rig.client.submit(["a", "b"], job_id="twice", metadata={"x": 1, "y": 2}))
    assert {(a.job_id, a.items, a.model, a.dry_run) for a in answers} == {("twice", 2, "one", False)}
    assert [job.job_id for job in rig.client.jobs()] == ["twice"]
    assert len(rig.events(JobSubmitted)) == 1


@pytest.mark.parametrize("other", [{"items": ["a"]}, {"priority": "high"}, {"name": "x"}, {"params": {"seed": 1}}])
def test_another_job_under_the_id_is_a_conflict(rig: Rig, other: dict[str, Any]) -> None:
    """We expect another body under a known id to be refused, tried or meant, and the first job to stay as it is."""
    rig.client.submit(["a", "b"], job_id="mine")
    before = rig.wait("mine")
    for dry_run in (True, False):
        asked: dict[str, Any] = {"items": ["a", "b"], "job_id": "mine", "dry_run": dry_run, **other}
        with pytest.raises(Conflict) as refused:
            rig.client.submit(**asked)
        assert (refused.value.code, refused.value.field) == ("conflict", "job_id")
    assert rig.client.job("mine") == before


_BAD: list[tuple[dict[str, Any], str]] = [
    ({"engine": "fault"}, "engine"),
    ({"model": "oen"}, "model"),
    ({"params": {"stepz": 1}}, "params.stepz"),
    ({"params": {"steps": 0}}, "params.steps"),
    ({"items": ["a", {"params": {}}]}, "items[1].params.prompt"),
    ({"items": ["a", {"params": {"prompt": 7}}]}, "items[1].params.prompt"),
    ({"items": []}, "items"),
    ({"job_id": "../up"}, "job_id"),
    ({"max_attempts": 0}, "max_attempts"),
]


@pytest.mark.parametrize(("options", "field"), _BAD)
def test_bad_job_is_refused(rig: Rig, options: dict[str, Any], field: str) -> None:
    """We expect what can't run to be refused at once, with the field that is wrong and a hint, and nothing stored."""
    asked: dict[str, Any] = {"items": ["a"], **options}
    with pytest.raises(BadRequest) as refused:
        rig.client.submit(**asked)
    assert refused.value.field == field
    assert refused.value.message
    assert list(rig.client.jobs()) == []
