"""Plays the server, as badly as the protocol allows, for a client that submits a job, follows it and reads its file."""

import time
from collections.abc import Iterator
from typing import Any

import zmq

from stoker_client.conformance.checking import Finding
from stoker_client.conformance.stage import FILE, Stage, refusal
from stoker_protocol import codec
from stoker_protocol.errors import Refused
from stoker_protocol.events import DaemonStarted, Synced, Tick
from stoker_protocol.requests import AnyRequest, EventsSince, GetJob, GetSnapshot, ListItems, ListJobs, Submit

POLL_MS = 20
TICK_S = 0.25
ANYWHERE = "tcp://127.0.0.1:0"
LOOKS = (EventsSince, GetSnapshot, GetJob, ListJobs, ListItems)
"""What a client may ask to learn what it missed."""


class Server:
    """Serves from `__enter__` on while `play` runs."""

    def __init__(self, control: str = ANYWHERE) -> None:
        self.control = control
        self._events = ANYWHERE
        self._stage = Stage()
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._bind()
        self._told = 0
        self._next_tick_s = 0.0
        self._syncs = 0
        self._looks = 0
        self._faults: list[str] = []
        self._submits: list[bytes] = []
        """Bodies; the reply to the first is lost, and what it asks for is not done."""
        self._has_doubled = False
        self._last_topics: list[str] = []

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_: object) -> None:
        self._context.destroy(linger=0)

    def play(self, patience_s: float) -> Iterator[Finding]:
        """One finding after the other; each thing is waited for as long as the patience lasts."""
        yield self._expect("It submits a job, under an id that it made.", lambda: self._submits, patience_s)
        if self._submits:
            yield from self._play_job(patience_s)
        yield Finding("Its requests are what the protocol says.", ok=not self._faults, seen="; ".join(self._faults[:3]))

    def _play_job(self, patience_s: float) -> Iterator[Finding]:
        again = "It submits the same again when the reply is lost."
        yield self._expect(again, lambda: self._stage.job is not None, patience_s)
        if self._stage.job is None:
            self._stage.answer(codec.decode_request(self._submits[0]), self._submits[0])
        joined = "It subscribes to its topics and then to `sync/...`, and then looks at the state."
        yield self._expect(joined, lambda: self._syncs and self._looks, patience_s)
        self._looks = 0
        self._stage.start_run()
        self._told = len(self._stage.log)  # which loses the event
        yield self._expect("It notices a lost event and asks for what it missed.", lambda: self._looks, patience_s)
        self._restart()
        self._syncs = self._looks = 0
        back = "It subscribes again after a restart of the server, and then looks at the state."
        yield self._expect(back, lambda: self._syncs and self._looks, patience_s)
        self._stage.commit("daemon/", DaemonStarted(version="1.1", boot="-", interrupted=0), kind="from_the_future")
        self._stage.finish_run()
        read = "It bears events of a kind that it does not know, sees the job end, and reads the file to its end."
        yield self._expect(read, lambda: self._stage.read_through == len(FILE), patience_s)

    def _expect(self, expected: str, condition: Any, patience_s: float) -> Finding:
        """Serve until it holds or the patience ends."""
        until_s = time.monotonic() + patience_s
        while not condition():
            if time.monotonic() > until_s:
                return Finding(expected, ok=False, seen=f"not within {patience_s:g} s")
            self._turn()
        return Finding(expected, ok=True)

    def _turn(self) -> None:
        ready = dict(self._poller.poll(POLL_MS))
        if self._xpub in ready:
            self._take_subscription(self._xpub.recv())
        if self._router in ready:
            self._take_request(self._router.recv_multipart())
        for topic, body in self._stage.log[self._told :]:
            self._xpub.send_multipart([topic.encode(), body])
        self._told = len(self._stage.log)
        if time.monotonic() >= self._next_tick_s:
            self._next_tick_s = time.monotonic() + TICK_S
            self._xpub.send_multipart([b"daemon/tick", codec.encode(Tick(**self._stage.head_facts()))])

    def _take_subscription(self, frame: bytes) -> None:
        topic = frame[1:]
        if not frame.startswith(b"\1"):
            self._xpub.set(zmq.UNSUBSCRIBE, topic)
            return
        self._xpub.set(zmq.SUBSCRIBE, topic)
        self._last_topics.append(topic.decode(errors="replace"))
        if topic.startswith(b"sync/"):
            if len(self._last_topics) < 2:
                self._faults.append("it subscribes to sync/ before it subscribes to anything else")
            self._syncs += 1
            self._looks = 0
            self._xpub.send_multipart([topic, codec.encode(Synced(**self._stage.head_facts()))])

    def _take_request(self, frames: list[bytes]) -> None:
        *envelope, body = frames
        try:
            request = codec.decode_request(body)
        except Refused as refused:
            self._faults.append(refused.message)
            self._router.send_multipart([*envelope, codec.encode(refusal(refused))])
            return
        if not request.id:
            self._faults.append(f"a {request.__struct_config__.tag} without an id of its own")
        self._looks += isinstance(request, LOOKS)
        if isinstance(request, Submit):
            self._submits.append(body)
            if len(self._submits) == 1:
                return  # lost on the way
        self._reply(envelope, request, body)

    def _reply(self, envelope: list[bytes], request: AnyRequest, body: bytes) -> None:
        """Answer, the first time that the state is asked for twice."""
        reply = self._stage.answer(request, body)
        copies = 2 if isinstance(request, LOOKS) and not self._has_doubled else 1
        self._has_doubled |= copies == 2
        for _ in range(copies):
            self._router.send_multipart([*envelope, reply])

    def _restart(self) -> None:
        """Be gone, and back on the same ports as another boot."""
        self._router.close(0)
        self._xpub.close(0)
        self._stage.boot = "boot-2"
        self._last_topics.clear()
        self._bind()

    def _bind(self) -> None:
        self._router, self._xpub = self._context.socket(zmq.ROUTER), self._context.socket(zmq.XPUB)
        self._xpub.set(zmq.XPUB_MANUAL, 1)
        self.control, self._events = _bound(self._router, self.control), _bound(self._xpub, self._events)
        self._stage.event_endpoints = [self._events]
        self._poller = zmq.Poller()
        self._poller.register(self._router, zmq.POLLIN)
        self._poller.register(self._xpub, zmq.POLLIN)


def _bound(socket: zmq.Socket[bytes], endpoint: str) -> str:
    """Bind, and bear with a port that the socket before has not let go yet."""
    until_s = time.monotonic() + 10
    while True:
        try:
            socket.bind(endpoint)
            return socket.get_string(zmq.LAST_ENDPOINT)
        except zmq.ZMQError as error:
            if error.errno != zmq.EADDRINUSE or time.monotonic() > until_s:
                raise
            time.sleep(0.01)
