"""A daemon that pours events: real sockets and messages, made beforehand, sent as fast as asked for or taken."""

import time

import zmq
from msgspec import Raw, structs
from tests.fakes.daemon import FakeDaemon
from tests.fakes.world import World

from stoker_protocol import codec
from stoker_protocol.events import JobEvent
from stoker_protocol.replies import PublishedEvent

SLICE_S = 0.01


class Firehose(FakeDaemon):
    """Serves like the fake daemon of the tests; no event is dropped, who reads slowly holds it up."""

    def prepare(self, events: int, jobs: int = 200) -> None:
        """Make so many lifecycle events: jobs that are submitted, run and end, again and again."""
        model = World()
        for number in range(jobs):
            model.add_job(f"job-{number}", items=4)
        for number in range(jobs):
            model.start_run(f"job-{number}")
        for number in range(jobs):
            model.finish(f"job-{number}")
        decoded = [(one.topic, codec.decode_event(one.body)) for one in model.log]
        self._poured: list[PublishedEvent] = []
        for seq in range(1, events + 1):
            topic, event = decoded[(seq - 1) % len(decoded)]
            assert isinstance(event, JobEvent)
            body = codec.encode(structs.replace(event, seq=seq, prev=seq - 1))
            self._poured.append(PublishedEvent(topic, Raw(body)))

    def pour(self, per_s: float | None) -> float:
        """Send them all, at that pace or as fast as they are taken; the seconds that it took."""
        began_s = time.perf_counter()
        sent = 0
        while sent < len(self._poured):
            due = len(self._poured) if per_s is None else int((time.perf_counter() - began_s) * per_s)
            part = self._poured[sent : min(due, sent + 500)]
            sent += len(part)
            self._do(lambda part=part: self._send(part))
            if per_s is not None:
                time.sleep(SLICE_S)
        return time.perf_counter() - began_s

    def _send(self, events: list[PublishedEvent]) -> None:
        self._xpub.set(zmq.XPUB_NODROP, 1)
        for event in events:
            self.world.log.append(event)
            self._xpub.send_multipart([event.topic.encode(), bytes(event.body)])
        self._published = len(self.world.log)
