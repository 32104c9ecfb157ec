"""The events socket: publishes committed events in order, and paces those that are only reports."""

import asyncio
import re
from collections import Counter
from collections.abc import Callable, Iterable, Set

import zmq

from stoker_daemon.jobs.records import Commit, CommittedEvent
from stoker_daemon.ports import Clock
from stoker_daemon.zmq.admission import Admission
from stoker_daemon.zmq.backlog import LARGE, Backlog
from stoker_daemon.zmq.conflation import Conflation
from stoker_daemon.zmq.endpoints import open_bound
from stoker_daemon.zmq.reader import Reader
from stoker_daemon.zmq.sending import send
from stoker_daemon.zmq.subscribers import Subscribers
from stoker_daemon.zmq.zap import user_id_of
from stoker_protocol import codec
from stoker_protocol.events import (
    DAEMON_TOPIC,
    SYNC_TOPIC,
    AnyEvent,
    JobEvent,
    JobProgress,
    Preview,
    Synced,
    Tick,
    topic_of_job,
    topic_of_preview,
)

TICK_S = 1.0
INTERVALS_S: dict[type[AnyEvent], float] = {JobProgress: 0.1, Preview: 0.5}
"""The shortest time between two of a kind on one topic."""
MAX_WATCHED = 10_000
"""Different preview topics that may be subscribed to; more are ignored."""

_OPTIONS = {
    # Each subscription of each peer comes here, and takes effect only if we say so. What libzmq 4.3.5 does then:
    # - SUBSCRIBE and UNSUBSCRIBE mean the peer whose message was received last, and nobody if it left meanwhile.
    # - A peer's subscriptions come in its order, after a reconnect in alphabetical order: `sync/` after the others.
    # - SUB sends each repeated subscribe but only the last unsubscribe, and one that leaves is taken off once per
    #   topic. So counts of a peer that repeats itself stay too high: previews are then made for nobody.
    # - A message that an XSUB peer publishes to us makes libzmq take the next waiting subscriptions for those of the
    #   peer after. SUB can't send one. Who does is disconnected; who loses a subscription by it can tell: its sync
    #   stays without an answer, or ticks tell of a head that moves while its topics are silent.
    # - Who is at its high-water mark loses the answer to its sync too, and asks again when it has caught up.
    zmq.XPUB_MANUAL: 1,
    zmq.SNDHWM: 10_000,
    # Subscriptions wait in a list that libzmq never ends, and goes on filling while there are more to read: with small
    # buffers before it there are not, and who sends too fast is held back.
    zmq.RCVHWM: 2,  # with 1, libzmq 4.3.5 hears nothing of a peer that ZAP was asked about
    zmq.RCVBUF: 64 << 10,
    zmq.MAXMSGSIZE: 512,  # room for what a handshake needs
}
_UNSUBSCRIBE, _SUBSCRIBE = b"\0", b"\1"
_PREVIEWS = b"preview/"
_SYNC = SYNC_TOPIC.encode()
_NONCE = re.compile(rb"[!-~]{1,64}")


class Publisher:
    """An XPUB, bound when made, at work from `start` to `close`. Who reads too slowly loses frames.

    Lifecycle events are always sent. Previews are not while too much waits to be read, and who causes that for some
    seconds loses its connection: it comes back, and catches up.

    `head` is the seq of the last event committed before those that it will be handed.
    """

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        endpoints: Iterable[str],
        *,
        clock: Clock,
        instance_id: str,
        boot: str,
        head: int,
        admission: Admission,
        secret_for: Callable[[str], bytes | None] = lambda _: None,
    ) -> None:
        self._socket, self.endpoints = open_bound(context, zmq.XPUB, endpoints, _OPTIONS, secret_for)
        self._reader = Reader(self._socket, self._take_frame)
        self._subscribers = Subscribers(self.endpoints)
        self._backlog = Backlog(self._socket)
        self._admission = admission
        self._clock = clock
        self._instance_id = instance_id
        self._boot = boot
        self._head = head
        self._watched: Counter[bytes] = Counter()
        self._conflation = Conflation()
        self._next_tick_s = clock.monotonic_s()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due_s = float("inf")

    def start(self) -> None:
        """Begin to take subscriptions and to tick."""
        self._reader.start()
        self._pulse()

    def close(self) -> None:
        """Stop; what was published may still go out."""
        self._reader.stop()
        if self._timer:
            self._timer.cancel()
        self._socket.close()

    def drop(self, user_ids: Set[str]) -> None:
        """End the connections of those who are let in no more; all others keep theirs."""
        self._subscribers.end_all(user_ids)

    def committed(self, commit: Commit) -> None:
        """Publish the events of a commit."""
        for event in commit.events:
            self._drop_overtaken(event)
            self._send(event.topic, event.body)
            self._head = event.seq
        self._reader.check()

    def announce(self, topic: str, event: AnyEvent) -> None:
        """Publish an ephemeral event, now or as soon as its pace allows unless a later one comes before."""
        if isinstance(event, Preview) and not self.wants_previews(event.job_id):
            return
        interval_s = INTERVALS_S.get(type(event))
        if interval_s and not self._conflation.offer(topic, event, interval_s, self._clock.monotonic_s()):
            self._set_timer()
            return
        self._report(topic, event)
        self._reader.check()

    def late_s(self) -> float:
        """Seconds by which its tick is late."""
        return max(0.0, self._clock.monotonic_s() - self._next_tick_s)

    def wants_previews(self, job_id: str) -> bool:
        """Whether somebody subscribes to previews: of this job, of all, or by a beginning of its id."""
        topic = topic_of_preview(job_id).encode()
        return any(topic[:size] in self._watched for size in range(len(_PREVIEWS), len(topic) + 1))

    def _report(self, topic: str, event: AnyEvent) -> None:
        """Send an ephemeral event."""
        if isinstance(event, Preview):
            if self._backlog.has_room():
                self._backlog.send([topic.encode(), codec.encode(event)])
        else:
            self._send(topic, codec.encode(event))

    def _send(self, topic: str, body: bytes) -> None:
        if len(body) < LARGE:
            send(self._socket, [topic.encode(), body])
        else:
            self._backlog.send([topic.encode(), body])

    def _head_as(self, kind: type[Tick] | type[Synced]) -> bytes:
        now_ms = self._clock.now_ms()
        return codec.encode(kind(at_ms=now_ms, head=self._head, instance_id=self._instance_id, boot=self._boot))

    def _drop_overtaken(self, committed: CommittedEvent) -> None:
        """What was committed of a job says more than reports of it that still wait."""
        if not self._conflation.is_holding_back():
            return
        event = codec.decode_event(committed.body)
        if not isinstance(event, JobEvent):
            return
        self._conflation.drop(topic_of_job(event.job.job_id))
        if event.job.state.is_final:
            self._conflation.drop(topic_of_preview(event.job.job_id))

    def _pulse(self) -> None:
        """Send what is due, and see when to do so again."""
        now_s = self._clock.monotonic_s()
        for topic, event in self._conflation.take_due(now_s):
            self._report(topic, event)
        if now_s >= self._next_tick_s:
            self._next_tick_s = now_s + TICK_S
            self._subscribers.look_for_slow_ones(is_full=not self._backlog.has_room())
            self._send(DAEMON_TOPIC + "tick", self._head_as(Tick))
        self._reader.check()
        self._timer_due_s = float("inf")
        self._set_timer()

    def _set_timer(self) -> None:
        due_s = min(self._next_tick_s, self._conflation.next_due_s())
        if due_s >= self._timer_due_s:
            return
        if self._timer:
            self._timer.cancel()
        self._timer_due_s = due_s
        delay_s = max(0.0, due_s - self._clock.monotonic_s())
        self._timer = asyncio.get_running_loop().call_later(delay_s, self._pulse)

    def _take_frame(self, frame: zmq.Frame) -> None:
        kind, topic = frame.bytes[:1], frame.bytes[1:]
        if frame.more or kind not in (_SUBSCRIBE, _UNSUBSCRIBE):
            self._subscribers.end(frame)
        elif kind == _UNSUBSCRIBE:
            self._socket.set(zmq.UNSUBSCRIBE, topic)
            self._unsubscribed(topic)
        elif self._may_listen(frame) and self._may_subscribe(topic):
            self._socket.set(zmq.SUBSCRIBE, topic)
            self._subscribed(topic)

    def _may_listen(self, frame: zmq.Frame) -> bool:
        """Whether who subscribes is let in, and does not do so too often."""
        user_id = user_id_of(frame)
        if self._admission.caller(user_id) is None:
            self._subscribers.end(frame)
            return False
        return self._subscribers.admit(frame, user_id)

    def _may_subscribe(self, topic: bytes) -> bool:
        """Whether there can be such a topic."""
        if topic.startswith(_SYNC):
            return _NONCE.fullmatch(topic, len(_SYNC)) is not None
        if topic.startswith(_PREVIEWS):
            return topic in self._watched or len(self._watched) < MAX_WATCHED
        return True

    def _subscribed(self, topic: bytes) -> None:
        if topic.startswith(_SYNC):
            self._send(topic.decode(), self._head_as(Synced))
        elif topic.startswith(_PREVIEWS):
            self._watched[topic] += 1

    def _unsubscribed(self, topic: bytes) -> None:
        if self._watched[topic] > 1:
            self._watched[topic] -= 1
        else:
            del self._watched[topic]
