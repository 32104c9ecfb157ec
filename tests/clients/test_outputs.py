"""What jobs have on disk, listed, added up and removed, by both clients."""

import pytest
from tests.clients.both import Connect, both
from tests.fakes.daemon import FakeDaemon

from stoker_client.errors import NotFound
from stoker_client.private_daemon import PrivateDaemon
from stoker_protocol import codec
from stoker_protocol.requests import CleanOutputs


def add_jobs(daemon: FakeDaemon, count: int) -> None:
    """Jobs with two files of ten bytes each."""
    for number in range(count):
        daemon.world.add_job(f"job-{number}")
        for output in range(2):
            daemon.world.add_artifact(f"job-{number}", f"{output}.png", bytes(10))


@both
def test_all_pages_of_outputs(daemon: FakeDaemon, connect: Connect) -> None:
    """We expect every job that has files, over several pages, or only the one that is named."""
    add_jobs(daemon, 7)
    with connect(daemon.control) as client:
        assert [(one.job_id, one.artifacts, one.bytes) for one in client.outputs()] == [
            (f"job-{number}", 2, 20) for number in range(7)
        ]
        assert [one.folder for one in client.outputs("job-4")] == ["outputs/job-4"]


@both
def test_totals(daemon: FakeDaemon, connect: Connect) -> None:
    """We expect the totals of all files and the disk, in one exchange."""
    add_jobs(daemon, 2)
    with connect(daemon.control) as client:
        page = client.output_totals()
    assert page.totals is not None
    assert [(total.artifacts, total.bytes) for total in page.totals] == [(4, 40)]
    assert (page.disk.total, page.disk.free) == (1000, 400)
    assert len(daemon.asked("outputs")) == 1


@both
def test_cleaning_goes_on_to_its_end(daemon: FakeDaemon, connect: Connect) -> None:
    """We expect one call to ask again while there is more, and to tell the sum; a dry run changes nothing."""
    add_jobs(daemon, 3)
    with connect(daemon.control) as client:
        planned = client.clean_outputs(86_400.5, dry_run=True)
        done = client.clean_outputs(86_400.5)
        assert (planned.jobs, planned.artifacts, planned.bytes, planned.dry_run) == (3, 6, 60, True)
        assert (done.jobs, done.artifacts, done.bytes, done.more) == (3, 6, 60, False)
        assert client.clean_outputs(0.0).artifacts == 0
    asked = [codec.decode_request(body) for body in daemon.asked("clean_outputs")]
    assert [one.older_than_ms for one in asked if isinstance(one, CleanOutputs)] == [86_400_500] * 4 + [0]


@both
def test_files_that_were_removed(stokerd: PrivateDaemon, connect: Connect) -> None:
    """We expect a real daemon to have nothing left of a job after a clean, and to say so by name."""
    with connect(stokerd.control, timeout_s=30.0) as client:
        job_id = client.submit(["a dragon", "an owl"]).job_id
        client.wait(job_id, 60)
        (kept,) = client.outputs(job_id)
        first = next(iter(client.artifacts(job_id)))
        while not client.clean_outputs(0.0).jobs:  # until the job is summed up
            pass
        assert kept.artifacts == 2
        assert list(client.outputs(job_id)) == []
        assert list(client.artifacts(job_id)) == []
        assert client.job(job_id).items.succeeded == 2
        assert not (stokerd.data_dir / kept.folder).exists()
        with pytest.raises(NotFound):
            list(client.outputs("nobody"))
    assert first.path.startswith(kept.folder)
