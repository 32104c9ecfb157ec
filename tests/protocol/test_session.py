"""The client's half without I/O: replies find their requests, and whatever is lost on the way, no event is."""

from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stoker_protocol import codec
from stoker_protocol.events import AnyEvent, LaneChanged, QueueResumed, Synced, Tick
from stoker_protocol.jobs import Lane
from stoker_protocol.replies import EventsPage, Pong, PublishedEvent
from stoker_protocol.session import QUIET_TICKS, Advice, Follower, Session

TOPICS = ("job/a/", "job/b/", "queue/")
PAGE = 3
"""Events in one answer of the pretended daemon: small, so that a catch-up takes several."""


def test_ids_differ() -> None:
    """Requests of one session, and of two with different nonces, never share an id."""
    one, other = Session("one"), Session("other")
    ids = [session.next_id() for session in (one, other) for _ in range(100)]
    assert len(set(ids)) == 200


def test_reply_pairing() -> None:
    """A reply is taken only for the request whose id it names."""
    session = Session("n")
    first, second = session.next_id(), session.next_id()
    body = codec.encode(Pong(id=first, server_time_ms=7))
    assert session.reply_to(first, body) == Pong(id=first, server_time_ms=7)
    assert session.reply_to(second, body) is None


def test_a_strange_reply_to_another_request_is_nothing() -> None:
    """A body which this version can't read is an error only for the request that it answers."""
    session = Session("n")
    body = msgspec.msgpack.encode({"v": 1, "id": "n-1", "re": "from_the_future"})
    assert session.reply_to("n-2", body) is None
    with pytest.raises(msgspec.DecodeError):
        session.reply_to("n-1", body)


def test_events_in_order() -> None:
    """Events which follow each other are applied, and that doubles are skipped."""
    log = Log()
    follower = log.joined("")
    for topic in TOPICS:
        log.commit(topic)
    advices = [follower.receive(topic, event) for topic, event in log.events * 2]
    assert advices == [Advice.APPLY] * 3 + [Advice.SKIP] * 3
    assert follower.through == 3


def test_other_topics_make_no_hole() -> None:
    """A follower of one topic is not disturbed by what happens on others."""
    log = Log()
    follower = log.joined("job/a/")
    for topic in ("job/a/", "job/b/", "queue/", "job/a/"):
        log.commit(topic)
    received = [follower.receive(topic, event) for topic, event in log.events]
    assert received == [Advice.APPLY, Advice.SKIP, Advice.SKIP, Advice.APPLY]


def test_the_next_event_shows_a_hole() -> None:
    """An event after a lost one is not applied, and that the page brings both in order."""
    log = Log()
    follower = log.joined("job/a/")
    log.commit("job/a/", "job/a/")
    topic, event = log.events[1]
    assert follower.receive(topic, event) is Advice.CATCH_UP
    advice, news = follower.catch_up(log.page(follower))
    assert (advice, [e.seq for e in news]) == (Advice.SKIP, [1, 2])
    assert follower.receive(topic, event) is Advice.SKIP


def test_ticks_show_a_lost_last_event() -> None:
    """Two ticks beyond what is known send the client to ask, and one does not."""
    log = Log()
    follower = log.joined("job/a/")
    log.commit("job/a/")
    advices = [follower.receive("daemon/tick", log.tick()) for _ in range(QUIET_TICKS)]
    assert advices == [Advice.SKIP] * (QUIET_TICKS - 1) + [Advice.CATCH_UP]


def test_a_busy_topic_hides_no_loss_on_another() -> None:
    """A follower of all misses the lost last event of one job though another goes on and on."""
    log = Log()
    follower = log.joined("")
    log.commit("job/a/", "job/b/")
    assert follower.receive(*log.events[1]) is Advice.CATCH_UP


def test_synced_beyond_the_known_asks_at_once() -> None:
    """A new subscription which is behind the head is not left to wait for ticks."""
    log = Log()
    follower = log.joined("job/a/")
    log.commit("job/a/")
    assert follower.receive("sync/1", Synced(head=1, instance_id="db", boot="1")) is Advice.CATCH_UP


def test_a_new_boot_asks_once() -> None:
    """A restarted daemon is asked what happened meanwhile, once."""
    log = Log()
    follower = log.joined("")
    log.boot = "2"
    assert [follower.receive("daemon/tick", log.tick()) for _ in range(3)] == [
        Advice.CATCH_UP,
        Advice.SKIP,
        Advice.SKIP,
    ]


@pytest.mark.parametrize("change", [{"instance_id": "other"}, {"gap": True}])
def test_what_is_gone_is_told(change: dict[str, Any]) -> None:
    """Another database's page, and one with a gap, send the client to a snapshot."""
    log = Log()
    follower = log.joined("")
    log.commit("job/a/")
    page = msgspec.structs.replace(log.page(follower), **change)
    assert follower.catch_up(page) == (Advice.RESYNC, [])
    assert follower.through == 0


def test_another_database_is_told() -> None:
    """A tick of another database sends the client to a snapshot."""
    log = Log()
    follower = log.joined("")
    log.instance_id = "other"
    assert follower.receive("daemon/tick", log.tick()) is Advice.RESYNC


def test_ephemeral_events_pass() -> None:
    """Reports without a seq are passed on whatever came before and whatever is followed, and change nothing."""
    follower = Log().joined("job/a/")
    event = LaneChanged(lane=Lane(name="gpu", state="idle"))
    assert [follower.receive("lane/gpu/lane_changed", event) for _ in range(2)] == [Advice.APPLY] * 2
    assert follower.through == 0


def test_pages_follow_each_other() -> None:
    """A page that is not the last asks for the next, and one that comes twice brings nothing new."""
    log = Log()
    follower = log.joined("")
    log.commit(*["job/a/"] * (PAGE + 1))
    page = log.page(follower)
    advice, news = follower.catch_up(page)
    assert (advice, [event.seq for event in news]) == (Advice.CATCH_UP, [1, 2, 3])
    assert follower.catch_up(page) == (Advice.SKIP, [])
    advice, news = follower.catch_up(log.page(follower))
    assert (advice, [event.seq for event in news]) == (Advice.SKIP, [4])


def test_unknown_kinds_are_passed_over() -> None:
    """A page with an event of a newer version still brings the others and moves on."""
    log = Log()
    follower = log.joined("")
    log.commit("job/a/", "job/a/", "job/a/")
    page = log.page(follower)
    page.events[1] = PublishedEvent("job/a/x", codec.pack({"v": 1, "type": "from_the_future", "seq": 2, "prev": 1}))
    advice, news = follower.catch_up(page)
    assert (advice, [event.seq for event in news], follower.through) == (Advice.SKIP, [1, 3], 3)


def test_a_page_without_progress_is_not_asked_again() -> None:
    """A daemon which claims to have more but gives nothing can't keep the client asking."""
    log = Log()
    follower = log.joined("")
    log.commit("job/a/")
    page = EventsPage(events=[], through=0, head=1, instance_id="db")
    assert follower.catch_up(page) == (Advice.SKIP, [])


@given(
    followed=st.sampled_from(["", *TOPICS]),
    steps=st.lists(st.tuples(st.sampled_from([*TOPICS, "tick", "restart", "arrive"]), st.integers(0, 2)), max_size=60),
)
def test_any_losses(followed: str, steps: list[tuple[str, int]]) -> None:
    """Whatever is lost, late or doubled, each event is applied exactly once, in order, after two more ticks.

    Each step is an event, a tick or a restart of the daemon with how often what is published goes out, or a number of
    things that arrive. So answers to questions overtake what is still on its way.
    """
    log = Log()
    client = Client(log, log.joined(followed))
    on_its_way: list[tuple[str, AnyEvent]] = []
    for step, number in [*steps, ("arrive", len(steps) * 2)]:
        if step == "arrive":
            arrived, on_its_way = on_its_way[:number], on_its_way[number:]
            for topic, event in arrived:
                client.receive(topic, event)
        else:
            on_its_way += [log.step(step)] * number
    for _ in range(QUIET_TICKS):
        client.receive("daemon/tick", log.tick())
    assert client.applied == [event.seq for topic, event in log.events if topic.startswith(followed)]


@dataclass
class Log:
    """A pretended daemon's events, and what it says of them."""

    events: list[tuple[str, AnyEvent]] = field(default_factory=list[tuple[str, AnyEvent]])
    instance_id: str = "db"
    boot: str = "1"

    def joined(self, topic: str) -> Follower:
        follower = Follower(topic)
        follower.restart(0, self.instance_id, self.boot)
        return follower

    def commit(self, *topics: str) -> tuple[str, AnyEvent]:
        for topic in topics:
            prev = max((event.seq or 0 for other, event in self.events if other.startswith(topic)), default=0)
            event = QueueResumed(seq=len(self.events) + 1, prev=prev, author="a")
            self.events.append((topic + "queue_resumed", event))
        return self.events[-1]

    def step(self, step: str) -> tuple[str, AnyEvent]:
        if step in TOPICS:
            return self.commit(step)
        if step == "restart":
            self.boot += "'"
        return "daemon/tick", self.tick()

    def tick(self) -> Tick:
        return Tick(head=len(self.events), instance_id=self.instance_id, boot=self.boot)

    def page(self, follower: Follower) -> EventsPage:
        """Answers `events_since` as the daemon does."""
        after = [(t, e) for t, e in self.events if (e.seq or 0) > follower.through and t.startswith(follower.topic)]
        events = [PublishedEvent(topic, msgspec.Raw(codec.encode(event))) for topic, event in after[:PAGE]]
        head = len(self.events)
        through = (after[PAGE - 1][1].seq or 0) if len(after) > PAGE else head
        return EventsPage(events=events, through=through, head=head, instance_id=self.instance_id)


@dataclass
class Client:
    """Does what the follower advises."""

    log: Log
    follower: Follower
    applied: list[int | None] = field(default_factory=list[int | None])

    def receive(self, topic: str, event: AnyEvent) -> None:
        advice = self.follower.receive(topic, event)
        if advice is Advice.APPLY:
            self.applied.append(event.seq)
        while advice is Advice.CATCH_UP:
            advice, news = self.follower.catch_up(self.log.page(self.follower))
            self.applied += [event.seq for event in news]
        assert advice is not Advice.RESYNC
