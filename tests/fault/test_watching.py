"""Who watches through deaths of the daemon, or begins late, ends with what one who saw everything has."""

import random
import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import pytest
from tests.fault.audit import connect
from tests.fault.failpoints import COMMITTED, TOLD, a_failing_rig, die_at
from tests.system.daemons import Rig
from tests.worker.processes import wait_for

from stoker_client import Client
from stoker_client.operations.watching import Update
from stoker_protocol import codec
from stoker_protocol.events import AnyEvent, JobEvent
from stoker_protocol.jobs import Job, JobState

LAST = "last"
"""The name of the job with which a watch of everything ends."""


class Watcher:
    """Somebody who watches on a thread of their own, until the jobs watched are over or the LAST one is."""

    def __init__(self, endpoint: str, job_ids: Sequence[str] | None) -> None:
        self.updates: list[Update] = []
        self._endpoint = endpoint
        self._job_ids = job_ids
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    @property
    def events(self) -> list[AnyEvent]:
        """The lifecycle events that it was told, in its order."""
        return [update.event for update in list(self.updates) if update.event is not None and update.event.seq]

    @property
    def jobs(self) -> dict[str, Job]:
        """The jobs as it knows them."""
        return {update.job.job_id: update.job for update in list(self.updates) if update.job is not None}

    def begin(self) -> "Watcher":
        """Wait until it is told something."""
        wait_for(lambda: self.updates)
        return self

    def end(self) -> None:
        """Wait until it has seen everything."""
        self._thread.join(60)
        assert not self._thread.is_alive()

    def _watch(self) -> None:
        with Client(self._endpoint, timeout_s=60) as client:
            for update in client.watch(self._job_ids):
                self.updates.append(update)
                if update.job is not None and update.job.name == LAST and update.job.state.is_final:
                    return


def _committed(rig: Rig, job_id: str) -> list[AnyEvent]:
    """All events of a job, from the disk."""
    with closing(connect(rig.data_dir)) as connection:
        query = "SELECT body FROM events WHERE thread = ? ORDER BY seq"
        return [codec.decode_event(body) for (body,) in connection.execute(query, (f"job/{job_id}/",))]


def test_across_deaths_of_the_daemon(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    """We expect one who saw six deaths to have every event once and in order, and one who came late the same state."""
    seed = random.randrange(1 << 32)
    record_property("seed of the 6 deaths", seed)
    dice = random.Random(seed)
    with a_failing_rig(tmp_path) as rig:
        rig.client.pause()
        job_id = rig.submit(*(f"item {n}" for n in range(60)), batch_size=1)
        early = Watcher(rig.daemon.control, [job_id]).begin()
        rig.client.resume()
        for _ in range(6):
            rig.kill()
            die_at(rig, f"{dice.choice([TOLD, COMMITTED])} after {dice.randint(1, 14)}")
        rig.daemon.start()
        late = Watcher(rig.daemon.control, [job_id])
        early.end()
        late.end()
        committed = _committed(rig, job_id)
        assert early.events == committed[1:]
        assert late.events == committed[len(committed) - len(late.events) :]
        job = rig.client.job(job_id)
        assert job.state is JobState.SUCCEEDED
        assert early.jobs == late.jobs == {job_id: job}


@pytest.mark.parametrize("is_killed", [True, False])
def test_watch_of_everything_across_a_restart(rig: Rig, *, is_killed: bool) -> None:
    """We expect a watch without names to tell of each job what is on disk, before, at and after a restart."""
    rig.submit(rig.gate("first").item("first"))
    watcher = Watcher(rig.daemon.control, None).begin()
    rig.gate("first").open()
    jobs = [rig.submit("before"), rig.submit(rig.gate().item("held"), "rest", batch_size=1)]
    rig.gate().wait()
    if not is_killed:
        rig.stop()
    rig.restart()
    rig.gate().open()
    jobs.append(rig.submit("after"))
    for job_id in jobs:
        rig.wait(job_id)
    rig.run("last", name=LAST)
    watcher.end()
    for job_id in jobs:
        told = [event for event in watcher.events if isinstance(event, JobEvent) and event.job.job_id == job_id]
        assert told == _committed(rig, job_id)
        assert watcher.jobs[job_id] == rig.client.job(job_id)
    seqs = [event.seq or 0 for event in watcher.events]
    assert seqs == [*range(seqs[0], seqs[0] + len(seqs))]


def test_watch_of_a_job_that_is_over(rig: Rig) -> None:
    """We expect the last state at once, and the end."""
    job = rig.run("a", {"prompt": "b", "do": "fail"})
    updates = list(rig.client.watch([job.job_id]))
    assert [(update.event, update.job) for update in updates] == [(None, job)]
