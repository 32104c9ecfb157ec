"""A small daemon in a thread with the real sockets and codec, which loses, doubles, drops and restarts when told to."""

import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Thread, current_thread
from typing import Any, Self, TypeVar

import msgspec
import zmq
from tests.fakes.world import World

from stoker_protocol import codec
from stoker_protocol.errors import CODES, Refused
from stoker_protocol.events import DAEMON_TOPIC, AnyEvent, Synced, Tick
from stoker_protocol.jobs import Artifact, Job
from stoker_protocol.replies import ErrorReply
from stoker_protocol.requests import AnyRequest

T = TypeVar("T")

ANYWHERE = "tcp://127.0.0.1:0"
POLL_MS = 5
PATIENCE_S = 30.0
"""How long a test waits for the daemon's thread, or for something to come true."""


class FakeDaemon:
    """Serves from `__enter__` to `__exit__`. Its `world` is what it knows; what changes it is a method here.

    `requests` and `bodies` are all that came in, also what was then lost. A tick comes each `tick_s`.
    """

    def __init__(self, *, tick_s: float = 0.05) -> None:
        self.world = World()
        self.control = self.events = ANYWHERE
        self.requests: list[AnyRequest] = []
        self.bodies: list[bytes] = []
        self.subscriptions: list[str] = []
        """Topics that somebody subscribed to, in the order in which they came."""
        self.unsubscriptions: list[str] = []
        self._router: zmq.Socket[bytes]
        self._xpub: zmq.Socket[bytes]
        self._tick_s = tick_s
        self._next_tick_s = 0.0
        self._published = 0
        self._faults: Counter[tuple[str, str]] = Counter()
        self._refusals: dict[str, Refused] = {}
        self._strange: dict[str, Mapping[str, Any] | bytes] = {}
        self._held: list[list[bytes]] = []
        self._changes: dict[tuple[str, str], deque[Callable[[], object] | None]] = defaultdict(deque)
        self._commands: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._thread: Thread | None = None
        self._is_stopping = False

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Serve, where it served before if it did."""
        self._is_stopping = False
        self._published = len(self.world.log)
        self._thread = Thread(target=self._serve, name="fake daemon", daemon=True)
        self._thread.start()
        self._do(lambda: None)

    def stop(self) -> None:
        """Be gone at once, like a killed process."""
        if self._thread is None:
            return
        self._is_stopping = True
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive(), "the fake daemon does not stop"
        self._thread = None

    def restart(self, *, instance_id: str = "", moved: bool = False) -> None:
        """Stop and start on the same ports with a new boot; `moved` gives events another port."""
        self.stop()
        self.world.boot_again(instance_id)
        if moved:
            self.events = ANYWHERE
        self.start()

    def lose_replies(self, op: str, times: int = 1) -> None:
        """Do what the next requests of that op ask for, and answer nothing."""
        self._do(lambda: self._faults.update({("lose", op): times}))

    def answer_twice(self, op: str, times: int = 1) -> None:
        """Send the next replies of that op twice."""
        self._do(lambda: self._faults.update({("double", op): times}))

    def hold_replies(self, op: str, times: int = 1) -> None:
        """Keep the next replies of that op until they are released."""
        self._do(lambda: self._faults.update({("hold", op): times}))

    def release(self) -> None:
        """Send the replies that were held."""
        self._do(self._send_held)

    def answer_instead(self, op: str, reply: Mapping[str, Any] | bytes, times: int = 1) -> None:
        """Answer the next requests of that op with something else; a map gets the request's id."""
        self._strange[op] = reply
        self._do(lambda: self._faults.update({("garble", op): times}))

    def refuse(self, op: str, refused: Refused, times: int = 1) -> None:
        """Refuse the next requests of that op."""
        self._refusals[op] = refused
        self._do(lambda: self._faults.update({("refuse", op): times}))

    def drop_events(self, times: int = 1) -> None:
        """Commit the next lifecycle events and publish none of them."""
        self._do(lambda: self._faults.update({("drop", ""): times}))

    def before(self, op: str, *changes: Callable[[], object] | None) -> None:
        """Let the world change right before each of the next requests of that op (or `sync`) is answered."""
        self._do(lambda: self._changes["before", op].extend(changes))

    def after(self, op: str, *changes: Callable[[], object] | None) -> None:
        """Let the world change right after each of the next requests of that op was answered."""
        self._do(lambda: self._changes["after", op].extend(changes))

    def add_job(self, job_id: str, items: int = 1, **fields: Any) -> Job:
        """Accept a job as `submit` does, and tell it."""
        return self._do(lambda: self._publish_news(lambda: self.world.add_job(job_id, items, **fields)))

    def start_run(self, job_id: str) -> Job:
        """Begin to run all items of a job."""
        return self._do(lambda: self._publish_news(lambda: self.world.start_run(job_id)))

    def finish(self, job_id: str, state: str = "succeeded") -> Job:
        """Bring all items of a job, and so the job, to that end."""
        return self._do(lambda: self._publish_news(lambda: self.world.finish(job_id, state)))

    def add_artifact(self, job_id: str, name: str, data: bytes, **fields: Any) -> Artifact:
        """Give a job an output file."""
        return self._do(lambda: self.world.add_artifact(job_id, name, data, **fields))

    def tell(self, thread: str, event: AnyEvent) -> None:
        """Commit a lifecycle event on a topic (`queue/`) and publish it."""
        self._do(lambda: self._publish_news(lambda: self.world.commit(thread, event)))

    def announce(self, topic: str, event: AnyEvent) -> None:
        """Publish an event that is not committed."""
        self.publish(topic.encode(), codec.encode(event))

    def publish(self, *frames: bytes) -> None:
        """Publish any frames."""
        self._do(lambda: self._xpub.send_multipart(frames))

    def asked(self, op: str) -> list[bytes]:
        """The bodies of all requests of that op that came in."""
        return [body for request, body in zip(self.requests, self.bodies, strict=True) if tag_of(request) == op]

    def _do(self, command: Callable[[], T]) -> T:
        """Let the thread that owns the sockets do something, and wait for it."""
        if current_thread() is self._thread:
            return command()
        done: Future[T] = Future()

        def perform() -> None:
            try:
                done.set_result(command())
            except Exception as error:  # noqa: BLE001 - the caller's thread raises it
                done.set_exception(error)

        self._commands.put(perform)
        return done.result(PATIENCE_S)

    def _serve(self) -> None:
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._router, self._xpub = context.socket(zmq.ROUTER), context.socket(zmq.XPUB)
        try:
            self._xpub.set(zmq.XPUB_MANUAL, 1)
            self.control = _bind(self._router, self.control)
            self.events = _bind(self._xpub, self.events)
            self.world.event_endpoints = [self.events]
            poller = zmq.Poller()
            poller.register(self._router, zmq.POLLIN)
            poller.register(self._xpub, zmq.POLLIN)
            while not self._is_stopping:
                ready = dict(poller.poll(POLL_MS))
                if self._router in ready:
                    self._answer()
                if self._xpub in ready:
                    self._subscribe(self._xpub.recv())
                with suppress(Empty):
                    self._commands.get_nowait()()
                self._tick()
        finally:
            context.destroy(linger=0)

    def _answer(self) -> None:
        *envelope, body = self._router.recv_multipart()
        try:
            request = codec.decode_request(body)
        except Refused as refused:
            self._router.send_multipart([*envelope, _refusal(codec.request_id_of(body), refused)])
            return
        self.requests.append(request)
        self.bodies.append(body)
        op = tag_of(request)
        self._change("before", op)
        reply = self._publish_news(lambda: self._reply_to(request, body))
        if self._strikes("garble", op):
            reply = _strange_reply(self._strange[op], request.id)
        self._held += [[*envelope, reply]] * self._copies(op)
        if not self._strikes("hold", op):
            self._send_held()
        self._change("after", op)

    def _copies(self, op: str) -> int:
        """How often a reply is sent."""
        if self._strikes("lose", op):
            return 0
        return 2 if self._strikes("double", op) else 1

    def _send_held(self) -> None:
        for frames in self._held:
            self._router.send_multipart(frames)
        self._held.clear()

    def _reply_to(self, request: AnyRequest, body: bytes) -> bytes:
        try:
            if self._strikes("refuse", tag_of(request)):
                raise self._refusals[tag_of(request)]
            return codec.encode(msgspec.structs.replace(self.world.answer(request, body), id=request.id))
        except Refused as refused:
            return _refusal(request.id, refused)

    def _change(self, when: str, op: str) -> None:
        changes = self._changes[when, op]
        if changes and (change := changes.popleft()) is not None:
            self._publish_news(change)

    def _strikes(self, fault: str, op: str) -> bool:
        """Whether a fault is due, which uses it up."""
        is_due = self._faults[fault, op] > 0
        self._faults[fault, op] -= is_due
        return is_due

    def _publish_news(self, change: Callable[[], T]) -> T:
        """Change the world and publish what was committed with it."""
        result = change()
        news, self._published = self.world.log[self._published :], len(self.world.log)
        for published in news:
            if not self._strikes("drop", ""):
                self._xpub.send_multipart([published.topic.encode(), bytes(published.body)])
        return result

    def _subscribe(self, frame: bytes) -> None:
        topic = frame[1:]
        if not frame.startswith(b"\1"):
            self._xpub.set(zmq.UNSUBSCRIBE, topic)
            self.unsubscriptions.append(topic.decode())
            return
        self._xpub.set(zmq.SUBSCRIBE, topic)
        self.subscriptions.append(topic.decode())
        if topic.startswith(b"sync/"):
            self._change("before", "sync")
            self._xpub.send_multipart([topic, codec.encode(Synced(**self.world.head_facts()))])

    def _tick(self) -> None:
        now_s = time.monotonic()
        if now_s >= self._next_tick_s:
            self._next_tick_s = now_s + self._tick_s
            tick = Tick(**self.world.head_facts())
            self._xpub.send_multipart([f"{DAEMON_TOPIC}tick".encode(), codec.encode(tick)])


def tag_of(request: AnyRequest) -> str:
    """The op of a request."""
    return str(request.__struct_config__.tag)


def _bind(socket: zmq.Socket[bytes], endpoint: str) -> str:
    """Bind, and bear with a port that the socket before has not let go yet."""
    until_s = time.monotonic() + PATIENCE_S
    while True:
        try:
            socket.bind(endpoint)
            return socket.get_string(zmq.LAST_ENDPOINT)
        except zmq.ZMQError as error:
            if error.errno != zmq.EADDRINUSE or time.monotonic() > until_s:
                raise
            time.sleep(0.01)  # polls until the port is free


def _strange_reply(reply: Mapping[str, Any] | bytes, request_id: str) -> bytes:
    return reply if isinstance(reply, bytes) else msgspec.msgpack.encode({"v": 1, "id": request_id, **reply})


def _refusal(request_id: str, refused: Refused) -> bytes:
    return codec.encode(
        ErrorReply(
            id=request_id,
            code=refused.code,
            message=refused.message,
            retryable=CODES[refused.code].retryable,
            field=refused.field,
            hint=refused.hint,
            retry_after_s=refused.retry_after_s,
        )
    )
