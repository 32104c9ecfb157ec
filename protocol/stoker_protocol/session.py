"""The client's half of a conversation without any I/O: pairs replies with requests, follows the event sequence."""

from enum import Enum

from msgspec import DecodeError, Raw

from stoker_protocol import codec
from stoker_protocol.events import AnyEvent, Synced, Tick
from stoker_protocol.replies import AnyReply, EventsPage

QUIET_TICKS = 2
"""Ticks in which the head is beyond what is known, and nothing came, until something may have been lost."""


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
        if codec.request_id_of(body) != request_id:
            return None
        return codec.decode_reply(body)


class Advice(Enum):
    """What to do with what arrived."""

    APPLY = "apply"
    SKIP = "skip"
    CATCH_UP = "catch_up"
    """Ask `events_since(follower.through, follower.topic)` and hand the page to `catch_up`; then go on."""
    RESYNC = "resync"
    """Take a snapshot and hand its seq to `restart`: what came before is another database's, or gone."""


class Follower:
    """Follows the lifecycle events of one whole topic (`job/7/`), or of all (empty), in order and each once.

    One number says all that is known. An event is news if it is beyond that number, and follows it without a hole:
    `prev` tells within one topic, and over all topics `seq` itself. Beginnings of topics (`job/`) can't be followed,
    since nothing tells whether a seq that did not come is one of theirs.

    Source: the joining and gap rules of the protocol (`docs/protocol.md`, Events).
    """

    def __init__(self, topic: str) -> None:
        self.topic = topic
        self.through = 0
        """All lifecycle events of the topic up to this seq are known."""
        self.known_ms = 0
        """When that was so, by the daemon's clock: all that is not known happened then or later."""
        self._heard_ms = 0
        self._instance_id = ""
        self._boot = ""
        self._quiet_ticks = 0

    def restart(self, seq: int, instance_id: str, boot: str) -> None:
        """Begin after the state of `seq`, which was asked for after all that was received."""
        self.through = seq
        self.known_ms = self._heard_ms
        self._instance_id, self._boot = instance_id, boot
        self._quiet_ticks = 0

    def receive(self, topic: str, event: AnyEvent) -> Advice:
        """Judge one event as it came from the events socket with its full topic; ephemeral ones pass on any topic."""
        if isinstance(event, Tick | Synced):
            self._heard_ms = event.at_ms
            return self._judge_head(event)
        if event.seq is None:
            return Advice.APPLY
        self._heard_ms = event.at_ms
        if event.seq <= self.through or not topic.startswith(self.topic):
            return Advice.SKIP
        if self._before(event.seq, event.prev) > self.through:
            return Advice.CATCH_UP
        self.through = event.seq
        self.known_ms = event.at_ms
        self._quiet_ticks = 0
        return Advice.APPLY

    def catch_up(self, page: EventsPage) -> tuple[Advice, list[AnyEvent]]:
        """The events of a page that are news. CATCH_UP: ask for another page; RESYNC: there is a gap.

        Events of kinds that this version does not know are passed over: a newer daemon may tell more.
        """
        if page.gap or page.instance_id != self._instance_id:
            return Advice.RESYNC, []
        events = [event for published in page.events if (event := _decode(published.body)) is not None]
        news = [event for event in events if (event.seq or 0) > self.through]
        has_more = self.through < page.through < page.head
        self.through = max(self.through, page.through)
        self.known_ms = news[-1].at_ms if news else self.known_ms
        self._quiet_ticks = 0
        return (Advice.CATCH_UP if has_more else Advice.SKIP), news

    def _before(self, seq: int, prev: int | None) -> int:
        """The seq of the event that must be known before this one; a missing `prev` counts as a hole."""
        if not self.topic or prev is None:
            return seq - 1
        return prev

    def _judge_head(self, event: Tick | Synced) -> Advice:
        if event.instance_id != self._instance_id:
            return Advice.RESYNC
        if event.boot != self._boot:
            self._boot = event.boot
            return Advice.CATCH_UP
        if event.head <= self.through:
            self.known_ms = event.at_ms
            self._quiet_ticks = 0
            return Advice.SKIP
        self._quiet_ticks += 1
        return Advice.CATCH_UP if self._quiet_ticks >= QUIET_TICKS or isinstance(event, Synced) else Advice.SKIP


def _decode(body: Raw) -> AnyEvent | None:
    try:
        return codec.decode_event(body)
    except DecodeError:
        return None
