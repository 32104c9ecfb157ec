"""Waiting for a job ends with the job, or when the time is over, whatever the daemon does meanwhile."""

import time
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from tests.clients.both import Connect, both
from tests.fakes.daemon import PATIENCE_S, FakeDaemon

from stoker_client.errors import DaemonUnavailable, NotFound
from stoker_client.operations import watching
from stoker_protocol.jobs import Job, JobState


@both
@pytest.mark.parametrize("state", ["succeeded", "failed", "cancelled"])
def test_until_the_end(daemon: FakeDaemon, connect: Connect, state: str) -> None:
    """A wait begins before the job is over and returns it as it is then."""
    daemon.add_job("a")
    daemon.after("snapshot", lambda: (daemon.start_run("a"), daemon.finish("a", state)))
    with connect(daemon.control) as client:
        job = client.wait("a", timeout_s=PATIENCE_S)
    assert (job.job_id, job.state) == ("a", state)


@both
def test_over_already(daemon: FakeDaemon, connect: Connect) -> None:
    """A wait for a job that is over returns it."""
    daemon.add_job("a")
    daemon.finish("a", "failed")
    with connect(daemon.control) as client:
        assert client.wait("a").state is JobState.FAILED


@both
def test_in_vain(daemon: FakeDaemon, connect: Connect) -> None:
    """A wait that takes too long ends with a TimeoutError that names the job, and the client goes on."""
    daemon.add_job("a")
    with connect(daemon.control) as client:
        with pytest.raises(TimeoutError, match=r"a is not final after 0\.2 s"):
            client.wait("a", timeout_s=0.2)
        assert client.job("a").state is JobState.QUEUED


@both
def test_no_such_job(daemon: FakeDaemon, connect: Connect) -> None:
    """A wait for a job that is not there is refused."""
    with connect(daemon.control) as client, pytest.raises(NotFound):
        client.wait("a", timeout_s=PATIENCE_S)


@both
def test_nobody_there(connect: Connect) -> None:
    """A wait at an endpoint where nobody is says so, within the time of one question."""
    with connect("tcp://127.0.0.1:9", timeout_s=0.1) as client, pytest.raises(DaemonUnavailable):
        client.wait("a", timeout_s=PATIENCE_S)


@both
def test_the_time_holds_while_a_question_is_open(daemon: FakeDaemon, connect: Connect) -> None:
    """A daemon that takes requests and answers none can't keep a wait beyond its time."""
    daemon.add_job("a")
    daemon.lose_replies("snapshot", 1000)
    with connect(daemon.control, timeout_s=PATIENCE_S) as client, pytest.raises(TimeoutError):
        client.wait("a", timeout_s=0.2)


@both
def test_the_time_holds_while_the_daemon_is_away(
    daemon: FakeDaemon, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A daemon that goes away and stays away can't keep a wait beyond its time."""
    monkeypatch.setattr(watching, "SILENCE_S", 0.1)
    daemon.add_job("a")
    with waiting(connect, daemon, 1.0) as job:
        until(lambda: daemon.asked("snapshot") != [])
        daemon.stop()
        with pytest.raises(TimeoutError):
            job.result(PATIENCE_S)


@both
def test_across_a_restart(daemon: FakeDaemon, connect: Connect) -> None:
    """A wait goes on over a restart of the daemon."""
    daemon.add_job("a")
    with waiting(connect, daemon, PATIENCE_S) as job:
        until(lambda: daemon.asked("snapshot") != [])
        daemon.restart()
        daemon.finish("a")
        assert job.result(PATIENCE_S).state is JobState.SUCCEEDED


@contextmanager
def waiting(connect: Connect, daemon: FakeDaemon, timeout_s: float) -> Generator[Future[Job]]:
    """Somebody who waits for job `a` in a thread of their own."""

    def wait() -> Job:
        with connect(daemon.control, timeout_s=1.0) as client:
            return client.wait("a", timeout_s)

    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(wait)


def until(condition: Callable[[], bool]) -> None:
    """Wait for something to come true."""
    end_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end_s
        time.sleep(0.01)  # polls the condition
