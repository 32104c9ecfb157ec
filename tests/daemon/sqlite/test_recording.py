"""What recording the last run of a job leaves for others to do."""

from pathlib import Path

import pytest
from tests.daemon.sqlite.queues import Queue

from stoker_daemon.jobs.records import Result
from stoker_protocol.jobs import ItemState


@pytest.fixture
def queue(tmp_path: Path) -> Queue:
    """An empty queue."""
    return Queue(tmp_path)


@pytest.mark.parametrize("state", [ItemState.SUCCEEDED, ItemState.FAILED, None])
def test_a_summary_is_due(queue: Queue, state: ItemState | None) -> None:
    """We expect a summary to be due of a job that left files, and of no other, however that ended."""
    queue.accept("job", 2)
    had_ended: list[bool] = []
    while run := queue.claim():
        queue.record(run, *([Result(m.position, state) for m in run.members] if state else ()))
        assert queue.last is not None
        had_ended.append(queue.last.has_ended)
    assert had_ended == [False, state is None]
    assert queue.one("SELECT is_summed FROM jobs") == int(state is not None)
