"""A disk that fails under a daemon at work: nobody is told yes for what is not safe, and all goes on afterwards."""

import errno
import os
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import pytest
from tests.fault.failing_disk import FailingDisk
from tests.system.daemons import Rig
from tests.system.test_large_jobs import LARGE, large_job
from tests.worker.processes import BOUND_S, wait_for

from stoker_client import Client
from stoker_client.errors import DaemonUnavailable, Internal, NotFound, StokerError, StorageUnavailable
from stoker_protocol.events import JobCancelled, JobRetried

DATABASE = "*/stoker.sqlite3"
LOG = "*/stoker.sqlite3-wal"
EVERYTHING = "fsync write open rename mkdir unlink"

R = TypeVar("R")


@pytest.mark.parametrize(
    ("calls", "error", "said"),
    [
        ("fsync", errno.EIO, "the disk failed"),
        ("write", errno.ENOSPC, "the disk is full"),
        ("write fsync", errno.EROFS, "the disk failed"),
    ],
)
def test_nothing_is_accepted_that_is_not_safe(
    rig_on_disk: tuple[Rig, FailingDisk], calls: str, error: int, said: str
) -> None:
    """We expect a submit to be refused with the reason and to leave nothing, and what runs to be stored after all."""
    rig, disk = rig_on_disk
    gate = rig.gate()
    job_id = rig.submit(gate.item("before"), *(f"item {number}" for number in range(20)))
    gate.wait()
    disk.fail(calls, error, LOG)
    for _ in range(3):
        with pytest.raises(StorageUnavailable, match=said) as refused:
            rig.submit("x" * 10_000, job_id="refused")
        assert refused.value.retry_after_s
    gate.open()
    wait_for(lambda: said in rig.client.snapshot().lanes[0].held_up)
    assert said in findings(rig)["store"]
    with pytest.raises(NotFound):
        rig.client.job("refused")
    disk.heal()
    assert rig.wait(job_id).items.succeeded == 21
    assert {item.attempts for item in rig.items(job_id)} == {1}
    assert set(rig.executions().values()) == {1}
    wait_for(lambda: rig.client.health().ready)
    assert rig.run("x" * 10_000, job_id="refused").state == "succeeded"


@pytest.mark.parametrize(
    ("calls", "error", "pattern", "said"),
    [
        ("fsync", errno.EIO, "*/outputs/*.part", "Input/output error"),
        ("fsync", errno.EIO, "*/files", "Input/output error"),
        ("fsync", errno.EIO, "*/outputs", "Input/output error"),
        ("write", errno.EDQUOT, "*/outputs/*", "quota exceeded"),
        (EVERYTHING, errno.EROFS, "*/outputs*", "Read-only"),
    ],
)
def test_outputs_wait_for_their_disk(
    rig_on_disk: tuple[Rig, FailingDisk], calls: str, error: int, pattern: str, said: str
) -> None:
    """We expect an output whose file, name or folder the disk does not take to wait, and its item to run once."""
    rig, disk = rig_on_disk
    disk.fail(calls, error, pattern)
    job_id = rig.submit("a", "b")
    wait_for(lambda: said in rig.client.snapshot().lanes[0].held_up)
    assert said in findings(rig)["lane gpu"]
    later = rig.submit("taken in meanwhile")
    disk.heal()
    assert rig.wait(job_id).items.succeeded == 2
    assert rig.wait(later).items.succeeded == 1
    assert {item.attempts for item in rig.items(job_id)} == {1}
    assert set(rig.executions().values()) == {1}


def test_a_disk_that_turns_read_only_under_everything(rig_on_disk: tuple[Rig, FailingDisk]) -> None:
    """We expect what runs, what waits and who asks to bear that the whole directory can only be read for a while."""
    rig, disk = rig_on_disk
    gate = rig.gate()
    job_id = rig.submit(gate.item("first"), "second")
    gate.wait()
    disk.fail(EVERYTHING, errno.EROFS, "*")
    gate.open()
    wait_for(lambda: "Read-only" in rig.client.snapshot().lanes[0].held_up)
    with pytest.raises(StorageUnavailable):
        rig.submit("refused")
    assert [item.state for item in rig.items(job_id)] == ["running", "running"]
    disk.heal()
    assert rig.wait(job_id).items.succeeded == 2
    assert rig.executions() == {"first": 1, "second": 1}


def test_an_idle_daemon_sees_that_its_disk_is_well_again(rig_on_disk: tuple[Rig, FailingDisk]) -> None:
    """We expect health to be bad while the disk fails, and good afterwards, though nobody submits anything."""
    rig, disk = rig_on_disk
    disk.fail("fsync", errno.EIO, LOG)
    with pytest.raises(StorageUnavailable):
        rig.submit("refused")

    def has_tried_again() -> bool:
        assert not rig.client.health().ready  # a try that changes nothing would prove nothing
        return disk.trace.read_bytes().count(b"lost\t") >= 3

    wait_for(has_tried_again)
    disk.heal()
    wait_for(lambda: rig.client.health().ready)


@pytest.mark.parametrize(
    ("error", "refusal", "said"),
    [(errno.EIO, Internal, "if the disk is well"), (errno.ESTALE, StorageUnavailable, "the disk failed")],
)
def test_a_database_that_cannot_be_read(
    rig_on_disk: tuple[Rig, FailingDisk], error: int, refusal: type[StokerError], said: str
) -> None:
    """We expect who asks to be told to look at the disk first while it can't be read, and to be answered afterwards."""
    rig, disk = rig_on_disk
    job_id = rig.run(*(f"{number} " + "x" * 50_000 for number in range(50))).job_id
    disk.fail("read", error, DATABASE + "*")
    with pytest.raises(refusal, match=said):
        rig.items(job_id)
    rig.client.ping()
    disk.heal()
    assert len(rig.items(job_id)) == 50


def test_a_log_that_cannot_be_emptied(rig_on_disk: tuple[Rig, FailingDisk]) -> None:
    """We expect work to go on while only the database file fails, and health to say so until it is well."""
    rig, disk = rig_on_disk
    disk.fail("fsync write", errno.EIO, DATABASE)
    job_ids = [rig.run(*(f"{number} " + "x" * 50_000 for number in range(50))).job_id for _ in range(3)]
    assert (rig.data_dir / "stoker.sqlite3-wal").stat().st_size > 8 << 20
    wait_for(lambda: rig.run("more") and "the disk failed" in findings(rig).get("store", ""))
    disk.heal()
    wait_for(lambda: rig.client.health().ready)
    assert [rig.client.job(job_id).items.succeeded for job_id in job_ids] == [50] * 3


@pytest.mark.parametrize(
    ("calls", "error", "pattern", "said"),
    [
        ("fsync", errno.EIO, LOG, "stoker.sqlite3-wal: can't be written again"),
        (EVERYTHING, errno.EROFS, "*/stokerd.lock", "stokerd.lock: read-only file system"),
        ("read", errno.EIO, DATABASE, "see the kernel's log"),
    ],
)
def test_a_daemon_does_not_start_on_a_failing_disk(
    rig_on_disk: tuple[Rig, FailingDisk], calls: str, error: int, pattern: str, said: str
) -> None:
    """We expect a start that says what is wrong with which file, and a start like any other once the disk is well."""
    rig, disk = rig_on_disk
    job_id = rig.run("before").job_id
    rig.kill()
    disk.fail(calls, error, pattern)
    with pytest.raises(DaemonUnavailable, match=f"ended at once: stokerd: .*{said}"):
        rig.restart()
    disk.heal()
    rig.restart()
    assert rig.client.job(job_id).state == "succeeded"
    assert rig.run("afterwards").state == "succeeded"


@pytest.mark.parametrize("error", [errno.EIO, errno.EMFILE])
def test_an_output_that_cannot_be_read(rig_on_disk: tuple[Rig, FailingDisk], error: int) -> None:
    """We expect who fetches an output to be told which file can't be read and why, and to get it afterwards."""
    rig, disk = rig_on_disk
    job_id = rig.run("a").job_id
    disk.fail("read", error, "*/files/*")
    with pytest.raises(StorageUnavailable, match=f"files/00000_0.txt can't be read: {os.strerror(error)}"):
        list(rig.client.fetch(job_id, rig.folder / "fetched"))
    disk.heal()
    (fetched,) = rig.client.fetch(job_id, rig.folder / "fetched")
    assert fetched.read_text() == "a"


def test_a_cancel_that_the_disk_cuts_short(rig_on_disk: tuple[Rig, FailingDisk]) -> None:
    """We expect a cancel of a large job that the disk refuses half-way to come to its end, and to be told once."""
    rig, disk = rig_on_disk
    job_id = large_job(rig)
    with cut_short(rig, disk, lambda client: client.cancel(job_id)) as cancelled:
        assert 0 < rig.client.job(job_id).items.pending < LARGE
    assert [job.state for job in cancelled.result(BOUND_S).jobs] == ["cancelled"]
    assert rig.client.job(job_id).items.cancelled == LARGE
    assert [event.job.state for event in rig.events(JobCancelled)] == ["cancelling", "cancelled"]


def test_a_retry_that_the_disk_cuts_short(rig_on_disk: tuple[Rig, FailingDisk]) -> None:
    """We expect a retry of a large job that the disk refuses half-way to come to its end, and each item to go back."""
    rig, disk = rig_on_disk
    job_id = large_job(rig)
    rig.client.cancel(job_id)
    with cut_short(rig, disk, lambda client: client.retry(job_id, ["cancelled"])) as retried:
        assert 0 < rig.client.job(job_id).items.pending < LARGE
    assert retried.result(BOUND_S).requeued == LARGE
    assert rig.client.job(job_id).items.pending == LARGE
    assert [event.requeued for event in rig.events(JobRetried)] == [LARGE, LARGE]
    rig.client.cancel(job_id)


@pytest.mark.parametrize(
    ("calls", "error", "pattern", "after"),
    [("unlink", errno.EROFS, "*/files/*", 5), ("fsync", errno.EIO, "*/metadata", 0), ("fsync", errno.EIO, LOG, 1)],
)
def test_a_cleaning_that_the_disk_cuts_short(
    rig_on_disk: tuple[Rig, FailingDisk], calls: str, error: int, pattern: str, after: int
) -> None:
    """We expect who cleans to be told that the disk is to blame, and a second try to remove what is left."""
    rig, disk = rig_on_disk
    rig.run(*map(str, range(20)))
    wait_for(lambda: rig.client.clean_outputs(0.0, dry_run=True).jobs == 1)
    disk.fail(calls, error, pattern, after=after)
    with pytest.raises(StorageUnavailable):
        rig.client.clean_outputs(0.0)
    disk.heal()
    wait_for(lambda: rig.client.health().ready)
    assert not rig.client.clean_outputs(0.0).more
    assert not list(rig.client.outputs())
    assert not list((rig.data_dir / "outputs").rglob("*"))


@contextmanager
def cut_short(rig: Rig, disk: FailingDisk, ask: Callable[[Client], R]) -> Generator[Future[R]]:
    """Have the disk refuse the third step of what a client asks for; it is well after the block."""
    disk.fail("fsync", errno.EIO, LOG, after=3)
    with Client(rig.daemon.control, timeout_s=BOUND_S) as client, ThreadPoolExecutor() as pool:
        asked = pool.submit(ask, client)
        try:
            wait_for(lambda: "store" in findings(rig))
            yield asked
        finally:
            disk.heal()


def findings(rig: Rig) -> dict[str, str]:
    """What health finds wrong, by its part."""
    return {finding.part: finding.detail for finding in rig.client.health().findings if not finding.ok}
