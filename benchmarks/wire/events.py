"""How late events arrive beside those of a bare PUB, and whether listeners miss any at a thousand a second."""

import asyncio
import json
import statistics
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from itertools import product
from typing import Any, NamedTuple

import zmq

from benchmarks.core.figures import Comparison, Figure, Findings, Setting, medians, ratio
from stoker_client.cli.render import plural
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
PACES = {1: A_SECOND, 10: A_SECOND, 100: 250}
"""Events a second by how many listen, few enough that listeners in Python keep up: no queue is timed."""
FAN, QUICK_FAN = 600, 100
PROCESSES = 4
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
    our_portions, bare_portions = medians(ours, setting.rounds), medians(bare, setting.rounds)
    return [ratio("way of an event, to a bare PUB", our_portions, bare_portions, "<=", 1.5, made_of)]


def fan_out(setting: Setting) -> Findings:
    """How late events come to 1, 10 and 100 listeners, ours and those of a bare PUB in turns, and who missed any."""
    events = QUICK_FAN if setting.quick else FAN
    late_us: dict[int, dict[str, list[float]]] = {count: {"stoker": [], "bare PUB": []} for count in PACES}
    missed = 0
    for number, (count, pace) in product(range(setting.rounds), PACES.items()):
        for name in ("stoker", "bare PUB") if number % 2 == 0 else ("bare PUB", "stoker"):
            heard = asyncio.run(_fan_out(events, pace, count, is_ours=name == "stoker"))
            late_us[count][name].append(heard.late_us)
            missed += heard.missed if name == "stoker" else 0
    burst = events * (1 if setting.quick else 5)
    missed += asyncio.run(_fan_out(burst, A_SECOND, max(PACES), is_ours=True)).missed
    made_of = f"{burst} events to {max(PACES)} at {A_SECOND}/s, and all that were timed"
    figures = [
        ratio(f"event to {_many(count)}, p50 to a bare PUB's", both["stoker"], both["bare PUB"], "<=", 1.5)
        for count, both in late_us.items()
    ]
    comparisons = [Comparison(f"event to {_many(count)}", "us", both) for count, both in late_us.items()]
    return Findings([*figures, Figure("listeners that missed an event", missed, "", "<=", 0, made_of)], comparisons)


def _many(count: int) -> str:
    return f"{plural(count, 'listener')} at {PACES[count]}/s"


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


class _Heard(NamedTuple):
    """Of all listeners: the median way of an event, and how many missed one."""

    late_us: float
    missed: int


async def _fan_out(events: int, pace: int, count: int, *, is_ours: bool) -> _Heard:
    """So many events, so many of them a second; each says in its topic when it was published."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    processes = min(count, PROCESSES)
    bare = context.socket(zmq.PUB)
    bare.set(zmq.SNDHWM, 0)
    port = bare.bind_to_random_port("tcp://127.0.0.1")
    async with _publisher(context) as publisher:
        endpoint = publisher.endpoints[0] if is_ours else f"tcp://127.0.0.1:{port}"
        counts = [count // processes + (number < count % processes) for number in range(processes)]
        listeners = [await _listener("seqs", each, events, endpoint) for each in counts]
        for listener in listeners:
            await _warm(listener, publisher, bare)
        began_s = time.monotonic()
        for seq in range(1, events + 1):
            if (ahead_s := began_s + seq / pace - time.monotonic()) > 0:
                await asyncio.sleep(ahead_s)
            topic = f"job/{seq}/{time.monotonic_ns()}"
            if is_ours:
                publisher.committed(Commit(events=(CommittedEvent(seq, topic, BODY),)))
            else:
                bare.send_multipart([topic.encode(), BODY])
        answers = [await _answer(listener) for listener in listeners]
    bare.close(linger=0)
    context.destroy(linger=0)
    late_us = [late for answer in answers for late in answer["late_us"]]
    return _Heard(statistics.median(late_us), sum(answer["missed"] for answer in answers))


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
