"""What is old is let go: jobs with their files and rows, events with a gap told, and nothing else."""

from contextlib import closing
from pathlib import Path

import pytest
from tests.fault.audit import connect
from tests.system.daemons import Rig, config
from tests.worker.processes import wait_for

from stoker_client import Client
from stoker_client.errors import Conflict, NotFound
from stoker_protocol.replies import EventsPage
from stoker_protocol.requests import EventsSince

SHORT = "[retention]\nevents_days = 1e-7\njobs_days = 1e-7"


def test_old_jobs_go_with_all_that_is_theirs(tmp_path: Path) -> None:
    """We expect jobs that ended to be gone, files and rows, their ids not usable again, and others untouched."""
    rig = Rig(tmp_path, config(), "")
    rig.daemon.start()
    try:
        made = rig.run("a", "b").job_id
        rig.client.pause()
        large = rig.submit(*(f"item {number}" for number in range(2500)))
        rig.client.cancel(large)
        waiting = rig.submit("waits")
        wait_for(lambda: _are_summed(rig))
        rig.stop()
        (tmp_path / "stokerd.toml").write_text(config(head=SHORT))
        rig.restart()
        wait_for(lambda: _counts(rig)["jobs"] == 1)
        with pytest.raises(NotFound):
            rig.client.job(made)
        with pytest.raises(Conflict):
            rig.client.submit(["another"], job_id=large)
        assert list(rig.data_dir.glob("outputs/*/*/files/*")) == []
        rows = {"jobs": 1, "items": 1, "lots": 1, "runs": 0, "attempts": 0, "tombstones": 2}
        assert _counts(rig) == rows
        assert [finding.part for finding in rig.client.check() if not finding.ok and finding.part != "disk"] == []
        rig.client.resume()
        assert rig.wait(waiting).state == "succeeded"
    finally:
        rig.stop()


def test_old_events_leave_a_gap(tmp_path: Path) -> None:
    """We expect who asks for events that are gone to be told of the gap, and the numbers to go on."""
    rig = Rig(tmp_path, config(), "")
    rig.daemon.start()
    try:
        job_id = rig.run("a").job_id
        rig.stop()
        (tmp_path / "stokerd.toml").write_text(config(head="[retention]\nevents_days = 1e-7"))
        rig.restart()
        wait_for(lambda: _events_after(rig, 0).gap)
        head = _events_after(rig, 0).head
        assert not _events_after(rig, head).gap
        assert rig.client.job(job_id).items.succeeded == 1
        rig.run("b")
        assert _events_after(rig, head).head > head
        assert not _events_after(rig, head).gap
    finally:
        rig.stop()


def test_a_bounded_log_leaves_a_gap(tmp_path: Path) -> None:
    """We expect as many events as said to stay, and who slept through more to be told and get the jobs as they are."""
    rig = Rig(tmp_path, config(head="[retention]\nevents_max = 5"), "")
    rig.daemon.start()
    try:
        slept = rig.submit("a")
        with Client(rig.daemon.control) as sleeper:
            watch, all_jobs = sleeper.watch([slept]), sleeper.watch()
            next(watch)
            next(all_jobs)
            rig.restart()
            rig.wait(slept)
            unseen = rig.run("b").job_id
            wait_for(lambda: _events_after(rig, _events_after(rig, 0).head - 6).gap)
            head = _events_after(rig, 0).head
            assert [_events_after(rig, head - back).gap for back in (0, 5, 6)] == [False, False, True]
            assert len(_events_after(rig, head - 5).events) == 5
            *_, gap, last = watch
            assert gap.link == "gap"
            assert last.job is not None
            assert last.job.state == "succeeded"
            told = [next(all_jobs) for _ in range(3)]
            assert [update.link for update in told] == ["gap", "", ""]
            assert {update.job.job_id: update.job.state for update in told if update.job} == {
                slept: "succeeded",
                unseen: "succeeded",
            }
    finally:
        rig.stop()


def test_a_bound_from_now_on(tmp_path: Path) -> None:
    """We expect a bound that a reload brings to hold without a restart."""
    rig = Rig(tmp_path, config(), "")
    rig.daemon.start()
    try:
        rig.run("a", "b")
        assert not _events_after(rig, 0).gap
        (tmp_path / "stokerd.toml").write_text(config(head="[retention]\nevents_max = 3"))
        (change,) = rig.client.reload().changes
        assert (change.key, change.is_applied) == ("retention.events_max", True)
        wait_for(lambda: _events_after(rig, 0).gap)
        assert len(_events_after(rig, _events_after(rig, 0).head - 3).events) == 3
    finally:
        rig.stop()


def test_jobs_are_kept_unless_said_otherwise(rig: Rig) -> None:
    """We expect a daemon without such a setting to remove nothing when it starts again."""
    job_id = rig.run("a").job_id
    rig.stop()
    rig.restart()
    assert rig.client.job(job_id).state == "succeeded"
    assert not _events_after(rig, 0).gap


def _events_after(rig: Rig, seq: int) -> EventsPage:
    page = rig.ask(EventsSince(id="1", seq=seq))
    assert isinstance(page, EventsPage)
    return page


def _counts(rig: Rig) -> dict[str, int]:
    tables = ("jobs", "items", "lots", "runs", "attempts", "tombstones")
    with closing(connect(rig.data_dir)) as connection:
        return {table: connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables}


def _are_summed(rig: Rig) -> bool:
    """Whether all jobs that ended are summed up: only then they can go."""
    with closing(connect(rig.data_dir)) as connection:
        query = "SELECT count(*) FROM jobs WHERE finished_ms IS NOT NULL AND NOT is_summed"
        return connection.execute(query).fetchone() == (0,)
