"""The client's half of a conversation without any I/O: pairs replies with requests, follows the event sequence."""

from enum import Enum

from stoker_protocol import codec
from stoker_protocol.events import AnyEvent, Synced, Tick
from stoker_protocol.replies import AnyReply, EventsPage, PublishedEvent

QUIET_TICKS = 2
"""A topic that was silent for so many ticks while the head moved may have lost something."""
MAX_TOPICS = 10_000
"""Topics whose last seq is remembered before a catch-up makes them all one number again."""


class Session:
    """Numbers requests and finds the reply to each; replies to anything else are doubles and dropped."""

    def __init__(self, nonce: str) -> None:
        self._nonce = nonce
        self._count = 0

    def next_id(self) -> str:
        """An id for the next request; a repetition of a request keeps its id."""
        self._count += 1
        return f"{self._nonce}-{self._count}"

    def reply_to(self, request_id: str, body: bytes) -> AnyReply | None:
        """The decoded body if it answers that request.

        Raises:
            msgspec.DecodeError: The body is no reply of this version.
        """
        reply = codec.decode_reply(body)
        return reply if reply.id == request_id else None


class Advice(Enum):
    """What to do with what arrived."""

    APPLY = "apply"
    SKIP = "skip"
    CATCH_UP = "catch_up"
    """Ask `events_since(follower.through, follower.topic)` and hand the page to `catch_up`; then go on."""
    RESYNC = "resync"
    """Take a snapshot and hand its seq to `restart`: what came before is another database's, or gone."""


class Follower:
    """Follows the events of one topic prefix so that no lifecycle event is missed or applied twice.

    Source: the joining and gap rules of the protocol (`docs/protocol.md`, Events).
    """

    def __init__(self, topic: str) -> None:
        self.topic = topic
        self.through = 0
        """All lifecycle events of the topic up to this seq are known."""
        self._last: dict[str, int] = {}
        self._instance_id = ""
        self._boot = ""
        self._quiet_ticks = 0

    def restart(self, seq: int, instance_id: str, boot: str) -> None:
        """Begin after the state of `seq`."""
        self.through = seq
        self._last.clear()
        self._instance_id, self._boot = instance_id, boot
        self._quiet_ticks = 0

    def receive(self, topic: str, event: AnyEvent) -> Advice:
        """Judge one event as it came from the events socket with its full topic."""
        if isinstance(event, Tick | Synced):
            return self._judge_head(event)
        if not topic.startswith(self.topic):
            return Advice.SKIP
        if event.seq is None:
            return Advice.APPLY
        return self._judge_seq(topic.rpartition("/")[0], event.seq, event.prev or 0)

    def catch_up(self, page: EventsPage) -> tuple[Advice, list[AnyEvent]]:
        """The events of a page that are news. CATCH_UP: ask for another page; RESYNC: there is a gap."""
        if page.gap or page.instance_id != self._instance_id:
            return Advice.RESYNC, []
        news = [codec.decode_event(e.body) for e in page.events if self._is_news(e)]
        self.through = max(self.through, page.through)
        self._last = {topic: seq for topic, seq in self._last.items() if seq > self.through}
        self._quiet_ticks = 0
        return (Advice.CATCH_UP if page.through < page.head else Advice.SKIP), news

    def _is_news(self, published: PublishedEvent) -> bool:
        """Whether an event of a page did not come over the events socket before."""
        seq = codec.decode_event(published.body).seq or 0
        return seq > max(self.through, self._last.get(published.topic.rpartition("/")[0], 0))

    def _judge_seq(self, topic: str, seq: int, prev: int) -> Advice:
        last = max(self.through, self._last.get(topic, 0))
        if seq <= last:
            return Advice.SKIP
        if prev > last or len(self._last) >= MAX_TOPICS:
            return Advice.CATCH_UP
        self._last[topic] = seq
        self._quiet_ticks = 0
        return Advice.APPLY

    def _judge_head(self, event: Tick | Synced) -> Advice:
        if event.instance_id != self._instance_id:
            return Advice.RESYNC
        if event.boot != self._boot:
            self._boot = event.boot
            return Advice.CATCH_UP
        known = max(self.through, max(self._last.values(), default=0))
        if event.head <= known:
            self._quiet_ticks = 0
            return Advice.SKIP
        self._quiet_ticks += 1
        return Advice.CATCH_UP if self._quiet_ticks >= QUIET_TICKS or isinstance(event, Synced) else Advice.SKIP
