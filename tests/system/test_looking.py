"""What is there is shown in pages, whole and in order, and what is not there is refused by name."""

from typing import Any

import pytest
from tests.system.daemons import Rig

from stoker_client.errors import NotFound
from stoker_protocol import codec
from stoker_protocol.codec import REQUEST_TYPES
from stoker_protocol.events import JobEvent, RunFinished
from stoker_protocol.jobs import Item, Job
from stoker_protocol.replies import (
    Description,
    ErrorReply,
    EventsPage,
    ItemsPage,
    JobReply,
    JobsPage,
    Pong,
    SnapshotPage,
    Welcome,
)
from stoker_protocol.requests import (
    Describe,
    EventsSince,
    GetJob,
    GetSnapshot,
    Hello,
    ListArtifacts,
    ListItems,
    ListJobs,
    Ping,
)


def test_first_words(rig: Rig) -> None:
    """We expect a daemon to say who it is, what it can do, where its events are, and who the caller is to it."""
    hello, pong = rig.ask(Hello(id="h")), rig.ask(Ping(id="p"))
    assert isinstance(hello, Welcome)
    assert isinstance(pong, Pong)
    assert (hello.id, pong.id) == ("h", "p")
    assert (hello.versions, hello.name, hello.role) == ([1], "local", "admin")
    assert hello.daemon.pid == rig.daemon.pid
    assert hello.events == [rig.daemon.events]
    assert hello.limits["body_bytes"] == 8 << 20
    assert abs(pong.server_time_ms - hello.server_time_ms) < 60_000
    rig.restart()
    again = rig.ask(Hello(id="h"))
    assert isinstance(again, Welcome)
    assert again.daemon.instance_id == hello.daemon.instance_id
    assert again.daemon.boot != hello.daemon.boot


def test_description_knows_every_verb(rig: Rig) -> None:
    """We expect a schema for each verb that there is."""
    reply = rig.ask(Describe(id="1"))
    assert isinstance(reply, Description)
    assert set(reply.requests) == set(REQUEST_TYPES)


def test_engine_says_what_it_takes(rig: Rig) -> None:
    """We expect models, parameters and the size of a batch, as forms are made from."""
    (engine,) = rig.client.engines()
    assert (engine.name, engine.kind, engine.state, engine.lane) == ("faults", "python", "ready", "gpu")
    assert (engine.default_model, engine.max_batch) == ("one", 8)
    assert [parameter.name for parameter in engine.parameters if parameter.required] == ["prompt"]


def test_jobs_come_in_pages(rig: Rig) -> None:
    """We expect all jobs once, newest first, however small the pages, and those in some states alone."""
    rig.client.pause()
    names = [rig.submit(str(n)) for n in range(7)]
    rig.client.cancel(*names[::2])
    seen: list[Job] = []
    cursor = ""
    while True:
        page = rig.ask(ListJobs(id="1", limit=3, cursor=cursor))
        assert isinstance(page, JobsPage)
        assert len(page.jobs) <= 3
        seen += page.jobs
        cursor = page.cursor
        if not cursor:
            break
    assert [job.job_id for job in seen] == names[::-1]
    assert [job.job_id for job in rig.client.jobs(["queued"])] == names[1::2][::-1]
    assert list(rig.client.jobs(["failed", "succeeded"])) == []


def test_items_come_in_pages(rig: Rig) -> None:
    """We expect all items once, in order, with what they made, and those in some states alone."""
    given: list[Any] = [
        {"params": {"prompt": str(n), "do": "echo" if n % 3 else "fail"}, "custom_id": f"c{n}"} for n in range(10)
    ]
    job_id = rig.client.submit(given).job_id
    rig.wait(job_id)
    seen: list[Item] = []
    cursor = ""
    while True:
        page = rig.ask(ListItems(id="1", job_id=job_id, limit=4, cursor=cursor, with_params=True))
        assert isinstance(page, ItemsPage)
        seen += page.items
        cursor = page.cursor
        if not cursor:
            break
    assert [(item.index, item.custom_id) for item in seen] == [(n, f"c{n}") for n in range(10)]
    assert [codec.unpack(item.params)["prompt"] for item in seen] == [str(n) for n in range(10)]
    assert [len(item.artifacts) for item in seen] == [int(n % 3 > 0) for n in range(10)]
    assert [item.index for item in rig.client.items(job_id, ["failed"])] == [0, 3, 6, 9]
    assert [file.index for file in rig.client.artifacts(job_id)] == [1, 2, 4, 5, 7, 8]


@pytest.mark.parametrize("cursor", ["x", "-1", "1.5.2", "9" * 30, "٣"])
def test_cursor_of_somebody_else(rig: Rig, cursor: str) -> None:
    """We expect a cursor that no page gave to be refused by name, whatever it is for."""
    job_id = rig.run("a").job_id
    for request in (
        ListJobs(id="1", cursor=cursor),
        ListItems(id="1", job_id=job_id, cursor=cursor),
        ListArtifacts(id="1", job_id=job_id, cursor=cursor),
        GetSnapshot(id="1", cursor=cursor),
    ):
        reply = rig.ask(request)
        assert isinstance(reply, ErrorReply)
        assert (reply.code, reply.field) == ("bad_request", "cursor")


def test_snapshot_is_of_one_moment(rig: Rig) -> None:
    """We expect the queue, the lanes and the jobs that are not over, as of a seq that events go on from."""
    done = rig.run("done")
    gate = rig.gate()
    running, waiting = rig.submit(gate.item("running")), rig.submit("waiting", "waiting too")
    gate.wait()
    page = rig.ask(GetSnapshot(id="1"))
    assert isinstance(page, SnapshotPage)
    assert [job.job_id for job in page.jobs] == [running, waiting]
    assert (page.queue.pending, page.queue.running, page.queue.active_jobs) == (2, 1, 2)
    (lane,) = page.lanes
    assert (lane.state, lane.engine, lane.model) == ("running", "faults", "one")
    whole = rig.client.snapshot(include_final=True)
    assert [job.job_id for job in whole.jobs] == [done.job_id, running, waiting]
    named = rig.client.snapshot([waiting, "nobody"])
    assert [job.job_id for job in named.jobs] == [waiting]
    gate.open()
    rig.wait(running)
    rig.wait(waiting)
    later = rig.ask(EventsSince(id="1", seq=page.seq))
    assert isinstance(later, EventsPage)
    states = {job.job_id: job for job in page.jobs}
    for published in later.events:
        event = codec.decode_event(published.body)
        if isinstance(event, JobEvent):
            states[event.job.job_id] = event.job
    assert states == {job.job_id: job for job in whole_of(rig) if job.job_id != done.job_id}


def whole_of(rig: Rig) -> list[Job]:
    """All jobs as they are now."""
    return rig.client.snapshot(include_final=True).jobs


def test_events_come_in_pages(rig: Rig) -> None:
    """We expect every event once and in order, of all topics or of one, however small the pages."""
    jobs = [rig.run(str(n)).job_id for n in range(4)]
    for topic, wanted in (("", None), (f"job/{jobs[2]}/", 3), ("job/", 12), ("lane/", 1), ("queue/", 0)):
        seqs: list[int] = []
        through = 0
        while True:
            page = rig.ask(EventsSince(id="1", seq=through, topic=topic, limit=2))
            assert isinstance(page, EventsPage)
            assert not page.gap
            assert all(published.topic.startswith(topic) for published in page.events)
            seqs += [codec.decode_event(published.body).seq or 0 for published in page.events]
            through = page.through
            if through == page.head:
                break
        assert seqs == sorted(set(seqs))
        assert len(seqs) == (page.head if wanted is None else wanted)


def test_what_is_not_there(rig: Rig) -> None:
    """We expect each look at a job that is not there to say so."""
    for request in (
        GetJob(id="1", job_id="nobody"),
        ListItems(id="1", job_id="nobody"),
        ListArtifacts(id="1", job_id="x"),
    ):
        reply = rig.ask(request)
        assert isinstance(reply, ErrorReply)
        assert (reply.code, reply.field) == ("not_found", "job_id")
    with pytest.raises(NotFound):
        rig.client.wait("nobody", 1)


def test_job_is_shown_with_its_seq(rig: Rig) -> None:
    """We expect the state of a job with the last event that it contains, and its metadata."""
    job_id = rig.submit("a", metadata={"x": [1, None, {"y": True}]})
    rig.wait(job_id)
    reply = rig.ask(GetJob(id="1", job_id=job_id))
    assert isinstance(reply, JobReply)
    assert codec.unpack(reply.job.metadata) == {"x": [1, None, {"y": True}]}
    (finished,) = rig.events(RunFinished)
    assert finished.seq == reply.seq
