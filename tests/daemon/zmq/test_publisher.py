"""Events through the events socket: order, joining, ticks, pace and previews."""

import asyncio
import time

import pytest
import zmq
from tests.daemon.zmq.rig import FakeClock, Subscriber, clients, many_turns, publishing, until, within

from stoker_daemon.jobs.records import Commit, CommittedEvent
from stoker_protocol import codec, events
from stoker_protocol.events import AnyEvent, JobProgress, LaneChanged, Preview, QueueResumed, RunFinished, Synced, Tick
from stoker_protocol.jobs import ItemCounts, Job, JobState, Lane, Priority, Progress


def _resumed(seq: int, prev: int | None = None) -> CommittedEvent:
    event = QueueResumed(seq=seq, prev=seq - 1 if prev is None else prev, author=f"a{seq}")
    return CommittedEvent(seq, "queue/queue_resumed", codec.encode(event))


def _finished(seq: int, job_id: str, state: JobState) -> CommittedEvent:
    job = Job(
        job_id=job_id,
        name="",
        state=state,
        priority=Priority.NORMAL,
        engine="e",
        model="m",
        client="c",
        items=ItemCounts(total=1),
        created_at_ms=1,
    )
    event = RunFinished(seq=seq, prev=0, job=job, run_id="r", outcomes=[])
    return CommittedEvent(seq, events.topic_of_job(job_id) + "run_finished", codec.encode(event))


def _progress(job_id: str, step: int) -> JobProgress:
    return JobProgress(job_id=job_id, progress=Progress("sampling", step, 100, ItemCounts(), 1.0))


def _preview(job_id: str, step: int) -> Preview:
    return Preview(job_id=job_id, index=0, step=step, steps=9, media_type="image/png", image=b"png")


def _steps(received: list[tuple[str, AnyEvent]]) -> list[int]:
    """Of progress and previews the step, of lifecycle events the negative seq."""
    return [
        e.progress.step if isinstance(e, JobProgress) else e.step if isinstance(e, Preview) else -(e.seq or 0)
        for _, e in received
    ]


def test_events_in_order() -> None:
    """Committed events go out once each, in the order of their seqs, with topic and body as they were stored."""

    async def scenario() -> None:
        async with publishing(FakeClock()) as publisher, clients() as context:
            subscriber = Subscriber.connect(context, publisher)
            await subscriber.join("queue/", "job/")
            sent = [_resumed(seq) for seq in range(1, 500)]
            sent.append(_finished(500, "j", JobState.SUCCEEDED))
            for at in range(0, 500, 100):
                publisher.committed(Commit(events=tuple(sent[at : at + 100])))
            for event in sent:
                assert await subscriber.socket.recv_multipart() == [event.topic.encode(), event.body]
            assert (await subscriber.sync())[0] == []

    asyncio.run(scenario())


def test_topics() -> None:
    """A subscriber gets what begins with its topics and nothing else; one of the empty topic gets all."""

    async def scenario() -> None:
        async with publishing(FakeClock()) as publisher, clients() as context:
            one, every = Subscriber.connect(context, publisher), Subscriber.connect(context, publisher)
            await one.join("job/a/")
            await every.join("")
            commit = (_finished(1, "a", JobState.RUNNING), _finished(2, "ab", JobState.RUNNING), _resumed(3))
            publisher.committed(Commit(events=commit))
            assert _steps((await one.sync())[0]) == [-1]
            received = [(topic, e) for topic, e in (await every.sync())[0] if not topic.startswith("sync/")]
            assert _steps(received) == [-1, -2, -3]

    asyncio.run(scenario())


def test_unsubscribing() -> None:
    """After its unsubscription nothing more is sent to a peer, and others still get theirs."""

    async def scenario() -> None:
        async with publishing(FakeClock()) as publisher, clients() as context:
            other = Subscriber.connect(context, publisher)
            await other.join("queue/")
            raw = context.socket(zmq.XSUB)  # which shows what is sent: SUB also filters what it receives
            raw.connect(publisher.endpoints[0])
            for subscription in (b"\1queue/", b"\1sync/1", b"\0queue/", b"\1sync/2"):
                await within(raw.send(subscription))
            assert [(await within(raw.recv_multipart()))[0] for _ in range(2)] == [b"sync/1", b"sync/2"]
            publisher.committed(Commit(events=(_resumed(1),)))
            await within(raw.send(b"\1sync/3"))
            assert (await within(raw.recv_multipart()))[0] == b"sync/3"
            assert _steps((await other.sync())[0]) == [-1]

    asyncio.run(scenario())


def test_sync_tells_the_head() -> None:
    """The answer to a sync has the head, the database and the boot, and every later event follows it."""

    async def scenario() -> None:
        async with publishing(FakeClock(), head=41) as publisher, clients() as context:
            early, late = Subscriber.connect(context, publisher), Subscriber.connect(context, publisher)
            assert await early.join("queue/") == Synced(at_ms=1_000_000, head=41, instance_id="db-1", boot="boot-1")
            publisher.committed(Commit(events=(_resumed(42),)))
            synced = await late.join("queue/")
            assert isinstance(synced, Synced)
            assert synced.head == 42
            publisher.committed(Commit(events=(_resumed(43),)))
            assert _steps((await early.sync())[0]) == [-42, -43]
            assert _steps((await late.sync())[0]) == [-43]

    asyncio.run(scenario())


def test_answers_to_syncs_are_private() -> None:
    """The answer goes to the asked nonce only, and nobody can listen to those of all others."""

    async def scenario() -> None:
        async with publishing(FakeClock()) as publisher, clients() as context:
            nosy, other = Subscriber.connect(context, publisher), Subscriber.connect(context, publisher)
            for topic in ("sync/", "sync/" + "x" * 65, "sync/a b"):
                nosy.socket.subscribe(topic)
            nosy.nonces = 100
            await nosy.sync()
            await other.sync()
            assert (await nosy.sync())[0] == []

    asyncio.run(scenario())


def test_resync_after_a_restart() -> None:
    """When the daemon comes back on its port, a subscriber's old sync topic tells it, after its other subscriptions."""

    async def scenario() -> None:
        clock = FakeClock()
        async with clients() as context:
            async with publishing(clock, head=3) as publisher:
                endpoint = publisher.endpoints[0]
                subscriber = Subscriber.connect(context, publisher)
                subscriber.socket.subscribe("sync/mine")
                subscriber.socket.subscribe("queue/")
                assert (await subscriber.receive())[0] == "sync/mine"
            async with publishing(clock, [endpoint], boot="boot-2", head=9) as publisher:
                topic, synced = await subscriber.receive()
                assert isinstance(synced, Synced)
                assert (topic, synced.head, synced.boot) == ("sync/mine", 9, "boot-2")
                publisher.committed(Commit(events=(_resumed(10),)))
                assert _steps([await subscriber.receive()]) == [-10]

    asyncio.run(scenario())


def test_ticks() -> None:
    """Each second of the clock, and not before, a tick tells head, database and boot."""

    async def scenario() -> None:
        clock = FakeClock()
        async with publishing(clock, head=7) as publisher, clients() as context:
            subscriber = Subscriber.connect(context, publisher)
            await subscriber.join("daemon/")
            for passed_s, ticks in ((0.5, 0), (0.5, 1), (0.9, 0), (1.5, 1), (1.0, 1)):
                clock.seconds += passed_s
                publisher._pulse()
                publisher._pulse()
                received, _ = await subscriber.sync()
                assert (
                    received
                    == [("daemon/tick", Tick(at_ms=clock.now_ms(), head=7, instance_id="db-1", boot="boot-1"))] * ticks
                )

    asyncio.run(scenario())


class _RealClock(FakeClock):
    def monotonic_s(self) -> float:
        return time.monotonic()


def test_ticks_come_by_themselves() -> None:
    """Nobody needs to do anything for one tick to follow another."""

    async def scenario() -> None:
        async with publishing(_RealClock()) as publisher, clients() as context:
            subscriber = Subscriber.connect(context, publisher)
            await subscriber.join("daemon/")
            assert [(await subscriber.receive())[0] for _ in range(2)] == ["daemon/tick"] * 2

    asyncio.run(scenario())


def test_waiting_progress_comes_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Progress that waits goes out when its time has come, before the next tick is due."""
    monkeypatch.setattr("stoker_daemon.zmq.publisher.TICK_S", 3600.0)

    async def scenario() -> None:
        async with publishing(_RealClock()) as publisher, clients() as context:
            subscriber = Subscriber.connect(context, publisher)
            await subscriber.join("job/")
            for step in range(5):
                publisher.announce("job/a/job_progress", _progress("a", step))
            assert [_steps([await subscriber.receive()]) for _ in range(2)] == [[0], [4]]

    asyncio.run(scenario())


def test_progress_is_paced() -> None:
    """Of a topic's progress at most one in 100 ms goes out, the latest; the last always does, and topics are apart."""

    async def scenario() -> None:
        clock = FakeClock()
        async with publishing(clock) as publisher, clients() as context:
            subscriber = Subscriber.connect(context, publisher)
            await subscriber.join("job/")
            for step in range(1, 101):  # one each 10 ms: a second's worth
                publisher.announce("job/a/job_progress", _progress("a", step))
                clock.seconds += 0.01
                publisher._pulse()
            publisher.announce("job/b/job_progress", _progress("b", 1000))
            clock.seconds += 5
            publisher._pulse()
            received, _ = await subscriber.sync()
            steps = _steps(received)
            assert sorted(steps[:-1]) == steps[:-1]
            assert {1, 100, 1000} <= set(steps)
            assert 10 <= len(steps) <= 13

    asyncio.run(scenario())


def test_lane_changes_are_not_paced() -> None:
    """What a lane does now goes out at once, however often it changes."""

    async def scenario() -> None:
        async with publishing(FakeClock()) as publisher, clients() as context:
            subscriber = Subscriber.connect(context, publisher)
            await subscriber.join("lane/")
            for number in range(5):
                lane = Lane("gpu", "running", run_id=str(number))
                publisher.announce("lane/gpu/lane_changed", LaneChanged(lane=lane))
            received, _ = await subscriber.sync()
            assert [e.lane.run_id for _, e in received if isinstance(e, LaneChanged)] == ["0", "1", "2", "3", "4"]

    asyncio.run(scenario())


def test_a_committed_state_overtakes_progress() -> None:
    """Progress that waits is dropped when a newer state of its job goes out, previews only when that is final."""

    async def scenario() -> None:
        clock = FakeClock()
        async with publishing(clock) as publisher, clients() as context:
            subscriber = Subscriber.connect(context, publisher)
            await subscriber.join("job/", "preview/")
            for job_id in ("a", "b"):
                for step in (1, 2):
                    publisher.announce(f"job/{job_id}/job_progress", _progress(job_id, step))
                    publisher.announce(f"preview/{job_id}/preview", _preview(job_id, 10 * step))
            publisher.committed(
                Commit(events=(_finished(1, "a", JobState.SUCCEEDED), _finished(2, "b", JobState.RUNNING)))
            )
            clock.seconds += 1
            publisher._pulse()
            received, _ = await subscriber.sync()
            of_a = [pair for pair in received if "/a/" in pair[0]]
            of_b = [pair for pair in received if "/b/" in pair[0]]
            assert _steps(of_a) == [1, 10, -1]
            assert sorted(_steps(of_b)) == [-2, 1, 10, 20]

    asyncio.run(scenario())


def test_previews_only_for_subscribers() -> None:
    """A job's previews are wanted, and sent, only while somebody subscribes to them, at most two a second."""

    async def scenario() -> None:
        clock = FakeClock()
        async with publishing(clock) as publisher, clients() as context:
            subscriber = Subscriber.connect(context, publisher)
            await subscriber.join("preview/job-1/", "job/")
            assert publisher.wants_previews("job-1")
            assert not publisher.wants_previews("job-2")
            assert not publisher.wants_previews("job-11")
            for step in range(20):
                publisher.announce("preview/job-1/preview", _preview("job-1", step))
                publisher.announce("preview/job-2/preview", _preview("job-2", step))
                clock.seconds += 0.1
                publisher._pulse()
            received, _ = await subscriber.sync()
            assert len(received) in (4, 5)
            assert {topic for topic, _ in received} == {"preview/job-1/preview"}

    asyncio.run(scenario())


def test_previews_need_their_own_subscription() -> None:
    """Who subscribes to everything sees the previews that others asked for, but does not ask for any."""

    async def scenario() -> None:
        async with publishing(FakeClock()) as publisher, clients() as context:
            every, one = Subscriber.connect(context, publisher), Subscriber.connect(context, publisher)
            await every.join("")
            publisher.announce("preview/a/preview", _preview("a", 1))
            await one.join("preview/a/")
            publisher.announce("preview/a/preview", _preview("a", 2))
            received, _ = await every.sync()
            assert _steps([pair for pair in received if isinstance(pair[1], Preview)]) == [2]

    asyncio.run(scenario())


def test_interest_in_previews_ends() -> None:
    """Interest counts each subscriber and ends with the last, whether it unsubscribes or vanishes."""

    async def scenario() -> None:
        async with publishing(FakeClock()) as publisher, clients() as context:
            one, two, three = (Subscriber.connect(context, publisher) for _ in range(3))
            await one.join("preview/")
            await two.join("preview/a")
            await three.join("preview/a")
            assert publisher.wants_previews("z")
            one.socket.unsubscribe("preview/")
            await one.sync()
            assert not publisher.wants_previews("z")
            two.socket.close(linger=0)
            await many_turns()
            assert publisher.wants_previews("abc")
            three.socket.close(linger=0)
            await until(lambda: not publisher.wants_previews("abc"))

    asyncio.run(scenario())


def test_a_hundred_subscribers() -> None:
    """A hundred subscribers get each of a hundred events, in order."""

    async def scenario() -> None:
        async with publishing(FakeClock()) as publisher, clients() as context:
            subscribers = [Subscriber.connect(context, publisher) for _ in range(100)]
            for subscriber in subscribers:
                await subscriber.join("queue/")
            for seq in range(1, 101):
                publisher.committed(Commit(events=(_resumed(seq),)))
            for subscriber in subscribers:
                assert _steps((await subscriber.sync())[0]) == [-seq for seq in range(1, 101)]

    asyncio.run(scenario())


def test_a_slow_subscriber_holds_up_nobody() -> None:
    """Events beyond what a subscriber's queues hold are lost to it alone, and the next one's `prev` tells it so."""

    async def scenario() -> None:
        async with publishing(FakeClock()) as publisher, clients() as context:
            quick, slow = Subscriber.connect(context, publisher), Subscriber.connect(context, publisher, rcvhwm=1)
            await quick.join("queue/")
            await slow.join("queue/")
            count = 30_000
            for seq in range(1, count + 1):
                event = QueueResumed(seq=seq, prev=seq - 1, author="x" * 2000)
                publisher.committed(Commit(events=(CommittedEvent(seq, "queue/queue_resumed", codec.encode(event)),)))
                if seq % 500 == 0:
                    assert [(await quick.receive())[1].seq for _ in range(500)] == [*range(seq - 499, seq + 1)]
            got: list[int] = []
            while await slow.socket.poll(1000):
                got.append((await slow.receive())[1].seq or 0)
            assert len(got) < count
            await slow.sync()
            publisher.committed(Commit(events=(_resumed(count + 1),)))
            _, after = await slow.receive()
            assert (after.prev or 0) > got[-1]

    asyncio.run(scenario())
