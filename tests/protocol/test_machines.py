"""Conversations in any order that Hypothesis thinks of: requests decoded in turns, a stream in pieces, events lost."""

from collections.abc import Generator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from tests.golden.generate import HERE, as_sent, packed

from stoker_protocol import codec
from stoker_protocol.errors import Refused
from stoker_protocol.events import AnyEvent, QueueResumed, Synced, Tick
from stoker_protocol.replies import EventsPage, Pong, PublishedEvent
from stoker_protocol.requests import AnyRequest
from stoker_protocol.session import QUIET_TICKS, Advice, Follower, Session

CORPUS = [path.read_bytes() for path in sorted((Path(__file__).parents[1] / "corpus").glob("*.msgpack"))]
"""Bodies that make trouble; what is found to fail is added."""
GOLDEN = [packed(as_sent(path)) for path in sorted((HERE / "requests").glob("*.json"))]
SUBMIT: dict[str, Any] = {"v": 1, "id": "1", "op": "submit", "job_id": "dragons"}
TOPICS = ("job/a/", "queue/")
PAGE = 3
"""Events in one answer: small, so that a catch-up takes several."""


@st.composite
def large_submits(draw: st.DrawFn) -> bytes:
    """A request that is checked in steps; one of its items may be wrong."""
    items: list[Any] = [{"params": {"prompt": "x" * 120, "seed": 1, "nested": [1]}}] * draw(st.integers(500, 900))
    if draw(st.booleans()):
        items = [*items, {"params": draw(st.sampled_from([7, {"a": b"bytes"}, {"a": float("inf")}]))}, *items[:9]]
    return packed({**SUBMIT, "items": items})


seldom = st.integers(0, 9)
"""0 is when it happens: what lets a client ask anew would hide that it did not ask before."""
bodies = st.sampled_from(CORPUS) | st.sampled_from(GOLDEN) | st.binary(max_size=40) | large_submits()


class CodecMachine(RuleBasedStateMachine):
    """Requests whose decoding takes turns, and a worker's stream that arrives in pieces."""

    @initialize()
    def begin(self) -> None:
        """Begin with nothing."""
        self.decoding: list[tuple[bytes, Generator[None, None, AnyRequest]]] = []
        self.buffer = codec.FrameBuffer()
        self.stream = b""
        self.framed: list[bytes] = []
        self.unframed: list[bytes] = []

    @rule(body=bodies)
    def a_request_arrives(self, body: bytes) -> None:
        self.decoding.append((body, codec.decode_in_steps(body)))

    @precondition(lambda self: self.decoding)
    @rule(data=st.data())
    def one_has_its_turn(self, data: st.DataObject) -> None:
        self._go_on(data.draw(st.integers(0, len(self.decoding) - 1)))

    @rule(body=bodies)
    def a_worker_says(self, body: bytes) -> None:
        self.stream += len(body).to_bytes(4, "big") + body
        self.framed.append(body)

    @rule(size=st.integers(1, 100_000))
    def a_piece_arrives(self, size: int) -> None:
        piece, self.stream = self.stream[:size], self.stream[size:]
        self.unframed += self.buffer.feed(piece)

    @invariant()
    def what_came_is_what_was_said(self) -> None:
        if hasattr(self, "framed"):
            assert self.unframed == self.framed[: len(self.unframed)]

    def teardown(self) -> None:
        """All ends as it would alone."""
        if hasattr(self, "decoding"):
            while self.decoding:
                self._go_on(0)
            self.a_piece_arrives(len(self.stream))
            assert self.unframed == self.framed

    def _go_on(self, place: int) -> None:
        body, steps = self.decoding[place]
        outcome: object = None
        try:
            next(steps)
        except StopIteration as end:
            outcome = end.value
        except Refused as refused:
            outcome = refused
        if outcome is not None:
            del self.decoding[place]
            assert_alike(outcome, body)


def assert_alike(outcome: object, body: bytes) -> None:
    """What came of a body in turns is what comes of it when nothing happens between."""
    if not isinstance(outcome, Refused):
        assert outcome == codec.decode_request(body)
        return
    alone = refusal(body)
    assert (outcome.code, outcome.message, outcome.field) == (alone.code, alone.message, alone.field)


def refusal(body: bytes) -> Refused:
    """Why a body is refused when nothing comes between."""
    with pytest.raises(Refused) as refused:
        codec.decode_request(body)
    return refused.value


class SessionMachine(RuleBasedStateMachine):
    """A client that follows a daemon whose events get lost, late and double, are forgotten, and may be another's."""

    @initialize(followed=st.sampled_from(["", *TOPICS]))
    def join(self, followed: str) -> None:
        """Begin in step, with an empty database."""
        self.session, self.asked = Session("me"), list[str]()
        self.now_ms, self.instances, self.boots, self.forgotten = 1_000, 1, 1, 0
        self.log: list[tuple[str, AnyEvent]] = []
        self.on_its_way: list[tuple[str, AnyEvent]] = []
        self.follower = Follower(followed)
        self.applied: list[int] = []
        self.untold = 0
        """Up to this seq of this database nothing need be told: it came before the state that was taken."""
        self._receive("sync/1", Synced(**self._head()))
        assert not self.applied

    @rule(told=st.lists(st.tuples(st.sampled_from(TOPICS), st.integers(0, 2)), min_size=1, max_size=5))
    def things_happen(self, told: list[tuple[str, int]]) -> None:
        """Each is told once, twice or never."""
        for topic, copies in told:
            prev = max((event.seq or 0 for other, event in self.log if other.startswith(topic)), default=0)
            event = QueueResumed(seq=len(self.log) + 1, prev=prev, at_ms=self.now_ms, author="a")
            self.log.append((f"{topic}queue_resumed", event))
            self.on_its_way += [self.log[-1]] * copies

    @rule(copies=st.integers(0, 2))
    def it_ticks(self, copies: int) -> None:
        self.now_ms += 1_000
        self.on_its_way += [("daemon/tick", Tick(**self._head()))] * copies

    @rule(chance=seldom)
    def it_starts_again(self, chance: int) -> None:
        self.boots += chance == 0

    @rule(chance=seldom)
    def another_database_is_put_in_its_place(self, chance: int) -> None:
        if chance:
            return
        self.on_its_way = []  # the daemon was stopped for it, and its connections ended
        self.instances += 1
        self.boots += 1
        self.log, self.forgotten = [], 0

    @rule(left=st.integers(0, 3))
    def old_events_are_forgotten(self, left: int) -> None:
        self.forgotten = max(self.forgotten, len(self.log) - left)

    @rule(count=st.integers(1, 5))
    def some_arrive(self, count: int) -> None:
        arrived, self.on_its_way = self.on_its_way[:count], self.on_its_way[count:]
        for topic, event in arrived:
            self._receive(topic, event)

    @rule(body=st.sampled_from(CORPUS))
    def a_request_is_answered(self, body: bytes) -> None:
        mine, others = self.session.next_id(), self.asked[-1:]
        assert mine not in self.asked
        self.asked.append(mine)
        for other in others:
            assert self.session.reply_to(mine, codec.encode(Pong(id=other, server_time_ms=1))) is None
        assert self.session.reply_to(mine, body) is None
        assert self.session.reply_to(mine, codec.encode(Pong(id=mine, server_time_ms=2))) is not None

    @invariant()
    def nothing_known_is_missing(self) -> None:
        """Each event up to where the client is was told once, in order, and what it does not know came later."""
        if not hasattr(self, "follower") or self._is_elsewhere():
            return
        topic, through = self.follower.topic, self.follower.through
        seqs = [event.seq or 0 for other, event in self.log if other.startswith(topic)]
        assert self.applied == [seq for seq in seqs if self.untold < seq <= through]
        unknown = [event.at_ms for other, event in self.log if other.startswith(topic) and (event.seq or 0) > through]
        assert min(unknown, default=self.now_ms) >= self.follower.known_ms

    def teardown(self) -> None:
        """When all has arrived and two more ticks, the client knows everything that can be known."""
        if not hasattr(self, "follower"):
            return
        self.some_arrive(len(self.on_its_way))
        for _ in range(QUIET_TICKS):
            self.now_ms += 1_000
            self._receive("daemon/tick", Tick(**self._head()))
        assert not self._is_elsewhere()
        self.nothing_known_is_missing()
        seqs = [event.seq or 0 for other, event in self.log if other.startswith(self.follower.topic)]
        assert self.follower.through >= max(seqs, default=0)

    def _receive(self, topic: str, event: AnyEvent) -> None:
        """As a client does: apply, ask for what is missing, or begin anew."""
        advice = self.follower.receive(topic, event)
        if advice is Advice.APPLY:
            self.applied.append(event.seq or 0)
        while advice is Advice.CATCH_UP:
            advice, news = self.follower.catch_up(self._page())
            self.applied += [one.seq or 0 for one in news]
        if advice is Advice.RESYNC:
            self.follower.restart(len(self.log), self._head()["instance_id"], self._head()["boot"])
            self.applied, self.untold, self.begun_at = [], len(self.log), self.instances

    def _is_elsewhere(self) -> bool:
        """Whether the client does not know yet that this is another database."""
        return self.begun_at != self.instances

    def _head(self) -> dict[str, Any]:
        return {
            "at_ms": self.now_ms,
            "head": len(self.log),
            "instance_id": f"db-{self.instances}",
            "boot": f"boot-{self.boots}",
        }

    def _page(self) -> EventsPage:
        """Answers `events_since` as the daemon does."""
        through, topic, head = self.follower.through, self.follower.topic, len(self.log)
        instance_id = self._head()["instance_id"]
        if through < self.forgotten:
            return EventsPage(events=[], through=through, head=head, instance_id=instance_id, gap=True)
        after = [(t, e) for t, e in self.log if (e.seq or 0) > through and t.startswith(topic)]
        events = [PublishedEvent(t, msgspec.Raw(codec.encode(e))) for t, e in after[:PAGE]]
        through = (after[PAGE - 1][1].seq or 0) if len(after) > PAGE else head
        return EventsPage(events=events, through=through, head=head, instance_id=instance_id)


TestCodec = CodecMachine.TestCase
TestCodec.settings = settings(max_examples=25, stateful_step_count=25)
TestSession = SessionMachine.TestCase
TestSession.settings = settings(max_examples=150, stateful_step_count=30)
