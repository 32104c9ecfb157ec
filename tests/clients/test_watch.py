"""A watch begins with the state, passes on what was asked for, and ends by itself."""

import pytest
from tests.clients.both import Connect, both
from tests.clients.watching import kinds, seqs, take
from tests.fakes.daemon import FakeDaemon

from stoker_client.errors import DaemonUnavailable, NotFound
from stoker_client.operations import watching
from stoker_client.operations.watching import events_endpoint
from stoker_protocol import codec
from stoker_protocol.errors import ErrorCode, Refused
from stoker_protocol.events import (
    DAEMON_TOPIC,
    QUEUE_TOPIC,
    DaemonStopping,
    JobProgress,
    LaneChanged,
    ModelLoaded,
    Preview,
    QueueResumed,
)
from stoker_protocol.jobs import ItemCounts, JobState, Lane, Progress

PROGRESS = Progress(phase="sampling", step=1, steps=2, items=ItemCounts(total=1, running=1), percent=50)


@both
def test_one_job(daemon: FakeDaemon, connect: Connect) -> None:
    """A watch tells the job as it is, then each event once with the job's new state, and ends with the job."""
    daemon.add_job("a")
    with connect(daemon.control) as client:
        watch = client.watch(["a"])
        first = next(watch)
        daemon.start_run("a")
        daemon.finish("a")
        rest = list(watch)
    assert (first.event, first.job and first.job.state) == (None, JobState.QUEUED)
    assert [(seqs([update]), update.job and update.job.state) for update in rest] == [
        ([2], JobState.RUNNING),
        ([3], JobState.SUCCEEDED),
    ]


@both
def test_a_smooth_stream_asks_nothing(daemon: FakeDaemon, connect: Connect) -> None:
    """While nothing is lost, no event is asked for: a hello and a snapshot are all that a watch costs."""
    daemon.add_job("a")
    with connect(daemon.control) as client:
        watch = client.watch(["a"])
        next(watch)
        for _ in range(20):
            daemon.start_run("a")
        daemon.finish("a")
        assert len(list(watch)) == 21
    assert [type(request).__name__ for request in daemon.requests] == ["Hello", "GetSnapshot"]


@both
def test_several_jobs(daemon: FakeDaemon, connect: Connect) -> None:
    """A watch of two jobs tells nothing of a third nor of the queue, and ends with the last of the two."""
    for job_id in "abc":
        daemon.add_job(job_id)
    with connect(daemon.control) as client:
        watch = client.watch(["a", "b"])
        assert kinds([next(watch), next(watch)]) == ["a queued", "b queued"]
        for job_id in "bca":
            daemon.tell(QUEUE_TOPIC, QueueResumed(author="me"))
            daemon.finish(job_id)
        rest = list(watch)
    assert [update.job and update.job.job_id for update in rest] == ["b", "a"]
    assert daemon.asked("events_since") == []


@both
@pytest.mark.parametrize("names", ["a", "ab"])
def test_pauses(daemon: FakeDaemon, connect: Connect, names: str) -> None:
    """A watch of jobs that asks for pauses tells when all work is held back or let go on, and of nobody else's jobs."""
    for job_id in "abc":
        daemon.add_job(job_id)
    with connect(daemon.control) as client:
        watch = client.watch([*names], pauses=True)
        for _ in names:
            next(watch)
        daemon.tell(QUEUE_TOPIC, QueueResumed(author="me"))
        for job_id in "cab":
            daemon.finish(job_id)
        rest = list(watch)
    assert [type(update.event).__name__ for update in rest] == ["QueueResumed", *["RunFinished"] * len(names)]
    assert daemon.asked("events_since") == []


@both
def test_everything(daemon: FakeDaemon, connect: Connect) -> None:
    """A watch without names tells of all jobs, the queue, the lanes and the daemon, also of jobs yet to come."""
    daemon.add_job("a")
    daemon.add_job("done")
    daemon.finish("done")
    with connect(daemon.control) as client:
        watch = client.watch()
        assert kinds([next(watch)]) == ["a queued"]
        daemon.tell(QUEUE_TOPIC, QueueResumed(author="me"))
        daemon.tell("lane/gpu/", ModelLoaded(lane="gpu", engine="sprites", model="plain", seconds=1))
        daemon.announce("lane/gpu/lane_changed", LaneChanged(lane=Lane("gpu", "running")))
        daemon.add_job("b")
        daemon.finish("a")
        daemon.tell(DAEMON_TOPIC, DaemonStopping(boot="1", reason="update"))
        rest = take(watch, 6)
    assert kinds(rest) == [
        "queue_resumed",
        "model_loaded",
        "lane_changed",
        "job_submitted",
        "run_finished",
        "daemon_stopping",
    ]
    assert seqs(rest) == [4, 5, 6, 7, 8]
    assert daemon.asked("events_since") == []
    assert "preview/" not in daemon.subscriptions


@both
def test_what_comes_too_early(daemon: FakeDaemon, connect: Connect) -> None:
    """What comes before all subscriptions are in force is part of the state that the watch then begins with."""
    daemon.add_job("a")
    daemon.before("sync", lambda: daemon.start_run("a"))
    with connect(daemon.control) as client:
        watch = client.watch(["a"])
        assert kinds([next(watch)]) == ["a running"]
        daemon.finish("a")
        assert kinds(watch) == ["run_finished"]


@both
def test_final_already(daemon: FakeDaemon, connect: Connect) -> None:
    """A watch of a job that is over tells its state and ends."""
    daemon.add_job("a")
    daemon.finish("a", "failed")
    with connect(daemon.control) as client:
        assert kinds(client.watch(["a"])) == ["a failed"]


@both
def test_of_nothing(daemon: FakeDaemon, connect: Connect) -> None:
    """A watch of no jobs is over before it begins."""
    with connect(daemon.control) as client:
        assert list(client.watch([])) == []
    assert daemon.requests == []


@both
@pytest.mark.parametrize("job_ids", [["nope"], ["a", "nope"]])
def test_an_unknown_job(daemon: FakeDaemon, connect: Connect, job_ids: list[str]) -> None:
    """A watch of a job that is not there is refused by name, not waited for."""
    daemon.add_job("a")
    with connect(daemon.control) as client, pytest.raises(NotFound, match="nope"):
        next(client.watch(job_ids))


@both
def test_nobody_there(connect: Connect) -> None:
    """A watch of a daemon that was never reached is an error, not a wait."""
    with connect("tcp://127.0.0.1:9", timeout_s=0.1) as client, pytest.raises(DaemonUnavailable):
        next(client.watch())


@both
def test_no_events(daemon: FakeDaemon, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    """A daemon that answers at a port while its events are not where it says is an error that names both."""
    monkeypatch.setattr(watching, "JOIN_S", 0.2)
    daemon.world.event_endpoints = ["tcp://127.0.0.1:9"]
    with connect(daemon.control) as client, pytest.raises(DaemonUnavailable) as caught:
        next(client.watch())
    assert "tcp://127.0.0.1:9" in caught.value.message
    assert daemon.control in caught.value.hint


@both
def test_progress_and_previews(daemon: FakeDaemon, connect: Connect) -> None:
    """Progress comes unless it is not wanted, previews only if they are, each with its job."""
    daemon.add_job("a")
    with connect(daemon.control) as client:
        with_all = client.watch(["a"], previews=True)
        with_none = client.watch(["a"], progress=False)
        assert kinds([next(with_all), next(with_none)]) == ["a queued"] * 2
        daemon.announce("job/a/job_progress", JobProgress(job_id="a", progress=PROGRESS))
        preview = Preview(job_id="a", index=0, step=1, steps=2, media_type="image/png", image=b"png")
        daemon.announce("preview/a/preview", preview)
        daemon.finish("a")
        everything = list(with_all)
        assert kinds(everything) == ["job_progress", "preview", "run_finished"]
        assert [update.job and update.job.job_id for update in everything] == ["a"] * 3
        assert kinds(with_none) == ["run_finished"]
    assert [topic for topic in daemon.subscriptions if topic.startswith("preview")] == ["preview/a/"]


@both
def test_metadata_stay(daemon: FakeDaemon, connect: Connect) -> None:
    """Events go without a job's metadata; the jobs that a watch tells keep them."""
    daemon.add_job("a", metadata=codec.pack({"scene": 7}))
    with connect(daemon.control) as client:
        watch = client.watch(["a"])
        next(watch)
        daemon.finish("a")
        (last,) = list(watch)
    assert last.job is not None
    assert codec.unpack(last.job.metadata) == {"scene": 7}


@both
def test_a_long_list_of_jobs(daemon: FakeDaemon, connect: Connect) -> None:
    """Jobs that changed while the pages of a snapshot were asked for are told once as they are, and never as before."""
    for number in range(5):
        daemon.add_job(f"j{number}")
    daemon.before("snapshot", None, lambda: (daemon.world.start_run("j0"), daemon.world.start_run("j4")))
    with connect(daemon.control) as client:
        watch = client.watch()
        begin = [next(watch) for _ in range(6)]
        daemon.finish("j4")
        assert seqs(take(watch, 1)) == [8]
    assert kinds(begin) == ["j0 queued", "j1 queued", "j2 queued", "j3 queued", "j4 running", "run_started"]
    assert seqs(begin) == [6]


@both
@pytest.mark.parametrize(
    "body", [b"", b"\xc1", codec.pack({"v": 1, "type": "from_the_future", "seq": None}), b"\x93" * 2000]
)
def test_what_can_not_be_read(daemon: FakeDaemon, connect: Connect, body: bytes) -> None:
    """An event that this version can't read is passed over, and the watch goes on."""
    daemon.add_job("a")
    with connect(daemon.control) as client:
        watch = client.watch(["a"])
        next(watch)
        daemon.publish(b"job/a/x", bytes(body))
        daemon.publish(b"job/a/\xff", bytes(body))
        daemon.publish(b"job/a/x")
        daemon.publish(b"job/a/x", bytes(body), b"more")
        daemon.finish("a")
        assert kinds(watch) == ["run_finished"]


@both
def test_refused(daemon: FakeDaemon, connect: Connect) -> None:
    """A watch that the daemon refuses raises what it was told."""
    daemon.refuse("snapshot", Refused(ErrorCode.NOT_FOUND, "no such thing"))
    with connect(daemon.control) as client, pytest.raises(NotFound, match="no such thing"):
        next(client.watch())


@pytest.mark.parametrize(
    ("control", "offered", "expected"),
    [
        ("tcp://127.0.0.1:5577", ["ipc:///run/e", "tcp://0.0.0.0:5578"], "tcp://127.0.0.1:5578"),
        ("tcp://gpu.lan:1", ["tcp://127.0.0.1:2"], "tcp://gpu.lan:2"),
        ("tcp://[::1]:1", ["tcp://[::]:2"], "tcp://[::1]:2"),
        ("ipc:///run/c", ["tcp://127.0.0.1:2", "ipc:///run/e"], "ipc:///run/e"),
    ],
)
def test_events_endpoint(control: str, offered: list[str], expected: str) -> None:
    """A client looks for events on the host that it dialled, at the port or path that the daemon names."""
    assert events_endpoint(control, offered) == expected
