"""How late events arrive beside those of a bare PUB, and whether listeners miss any at a thousand a second."""

import asyncio
import json
import statistics
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import zmq

from benchmarks.core.figures import Figure, Setting
from stoker_daemon.jobs.records import Commit, CommittedEvent
from stoker_daemon.main import SystemClock
from stoker_daemon.zmq.admission import Admission, LocalRules
from stoker_daemon.zmq.publisher import Publisher
from stoker_daemon.zmq.zap import ZapHandler
from stoker_protocol import codec
from stoker_protocol.events import QueueResumed
from stoker_protocol.requests import Role

ANY_PORT = "tcp://127.0.0.1:0"
BODY = codec.encode(QueueResumed(seq=1, prev=0, at_ms=0, author="x" * 500))
"""As large as the event of a job."""
EVENTS, QUICK_EVENTS = 2_000, 50
A_SECOND = 1_000
SECONDS, QUICK_SECONDS = 10, 1
LISTENERS, PROCESSES = 100, 4
ANSWER = 16 << 20
"""Bytes that a listener may say at its end."""
PAUSE_S = 0.002
"""Between two events whose way is timed, so that neither waits for the other."""

Publish = Callable[[int], None]


def latency(setting: Setting) -> list[Figure]:
    """The ratio of the medians: our publisher to a bare PUB, event by event in turns."""
    events = QUICK_EVENTS if setting.quick else EVENTS
    ours, bare = asyncio.run(_latencies(events))
    p50 = statistics.median(ours), statistics.median(bare)
    made_of = f"p50 {p50[0]:.0f}/{p50[1]:.0f} us, p99 {_p99(ours):.0f}/{_p99(bare):.0f} us"
    return [Figure("way of an event, to a bare PUB", p50[0] / p50[1], "", "<=", 1.5, made_of)]


def fan_out(setting: Setting) -> list[Figure]:
    """How many of a hundred listeners missed an event."""
    seconds = QUICK_SECONDS if setting.quick else SECONDS
    missed, took_s = asyncio.run(_fan_out(seconds))
    made_of = f"{seconds * A_SECOND} events to {LISTENERS} in {took_s:.1f} s"
    return [Figure("listeners that missed an event", missed, "", "<=", 0, made_of)]


async def _latencies(events: int) -> tuple[list[float], list[float]]:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    bare = context.socket(zmq.PUB)
    port = bare.bind_to_random_port("tcp://127.0.0.1")
    async with _publisher(context) as publisher:
        listener = await _listener("times", 1, events, publisher.endpoints[0], f"tcp://127.0.0.1:{port}")
        sent: list[list[int]] = [[], []]
        ways: tuple[Publish, Publish] = (_through(publisher), lambda seq: _send(bare, seq))
        await _warm(listener, publisher, bare)
        for seq in range(1, events + 1):
            for publish, times in zip(ways, sent, strict=True):
                await asyncio.sleep(PAUSE_S)
                times.append(time.monotonic_ns())
                publish(seq)
        arrived = await _answer(listener)
    bare.close(linger=0)
    context.destroy(linger=0)
    ours, theirs = (
        [(came[str(seq)] - begun) / 1000 for seq, begun in enumerate(times, start=1)]
        for came, times in zip(arrived, sent, strict=True)
    )
    return ours, theirs


async def _fan_out(seconds: int) -> tuple[int, float]:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    events = seconds * A_SECOND
    async with _publisher(context) as publisher:
        endpoint = publisher.endpoints[0]
        listeners = [await _listener("seqs", LISTENERS // PROCESSES, events, endpoint) for _ in range(PROCESSES)]
        for listener in listeners:
            await _warm(listener, publisher)
        publish = _through(publisher)
        began_s = time.monotonic()
        for seq in range(1, events + 1):
            if (ahead_s := began_s + seq / A_SECOND - time.monotonic()) > 0:
                await asyncio.sleep(ahead_s)
            publish(seq)
        missed = sum([await _answer(listener) for listener in listeners])
        took_s = time.monotonic() - began_s
    context.destroy(linger=0)
    return missed, took_s


@asynccontextmanager
async def _publisher(context: "zmq.Context[zmq.Socket[bytes]]") -> AsyncGenerator[Publisher]:
    """The daemon's own, with all that stands before it."""
    admission = Admission(LocalRules(Role.VIEW, {}))
    zap = ZapHandler(context, admission)
    zap.start()
    clock = SystemClock()
    publisher = Publisher(context, [ANY_PORT], clock=clock, instance_id="i", boot="b", head=0, admission=admission)
    publisher.start()
    try:
        yield publisher
    finally:
        publisher.close()
        zap.close()


def _through(publisher: Publisher) -> Publish:
    return lambda seq: publisher.committed(Commit(events=(CommittedEvent(seq, f"job/{seq}/", BODY),)))


def _send(socket: "zmq.Socket[bytes]", seq: int) -> None:
    socket.send_multipart([f"job/{seq}/".encode(), BODY])


async def _listener(mode: str, count: int, until: int, *endpoints: str) -> Process:
    args = ["-m", "benchmarks.wire.listeners", mode, str(count), str(until), *endpoints]
    return await asyncio.create_subprocess_exec(sys.executable, *args, stdout=PIPE, limit=ANSWER)


async def _warm(listener: Process, publisher: Publisher, bare: "zmq.Socket[bytes] | None" = None) -> None:
    """Send what all its subscribers wait for until it says that it came."""
    assert listener.stdout is not None
    ready = asyncio.ensure_future(listener.stdout.readline())
    while not ready.done():
        publisher.committed(Commit(events=(CommittedEvent(0, "warm/", BODY),)))
        if bare is not None:
            bare.send_multipart([b"warm/", BODY])
        await asyncio.sleep(0.01)
    assert ready.result() == b"ready\n", "the listener died"


async def _answer(listener: Process) -> Any:
    assert listener.stdout is not None
    line = await listener.stdout.readline()
    await listener.wait()
    return json.loads(line)


def _p99(values: list[float]) -> float:
    return sorted(values)[len(values) * 99 // 100]
