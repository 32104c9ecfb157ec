"""How long `ping` takes while another client hands in a lot, beside the same daemon left alone."""

import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import zmq

from benchmarks.core.contenders import Stoker
from benchmarks.core.figures import Figure, Setting, ratio
from benchmarks.core.load import TIMEOUT_MS, lockstep_s
from benchmarks.core.marks import PAYLOAD
from stoker_protocol import codec
from stoker_protocol.requests import Append, ItemSpec, Ping, Submit

PACE_S = 0.001
APPENDS = 10
ITEMS = 10_000


def pinging(setting: Setting) -> list[Figure]:
    """Ping alone, then while ten appends of ten thousand items come one after another, in each round."""
    rounds: list[tuple[float, float]] = []
    with tempfile.TemporaryDirectory(dir=setting.folder) as folder, ThreadPoolExecutor(1) as other:
        daemon = Stoker()
        daemon.start(Path(folder))
        try:
            for number in range(setting.rounds):
                bodies = _stream(f"stream-{number}", 500 if setting.quick else ITEMS)
                alone_until_s = time.perf_counter() + (0.2 if setting.quick else 2)
                alone_ms = _pings_ms(daemon.endpoint, lambda end_s=alone_until_s: time.perf_counter() > end_s)
                rounds.append(
                    (
                        _p99(_pings_ms(daemon.endpoint, other.submit(lockstep_s, daemon.endpoint, bodies).done)),
                        _p99(alone_ms),
                    )
                )
        finally:
            daemon.stop()
    busy_ms, alone_ms = ([*column] for column in zip(*rounds, strict=True))
    made_of = f"{statistics.median(busy_ms):.1f} to {statistics.median(alone_ms):.2f} ms"
    return [ratio("ping's p99 beside appends, to that alone", busy_ms, alone_ms, "<=", 10, made_of)]


def _stream(job_id: str, items: int) -> list[bytes]:
    """The requests that open a job and fill it."""
    specs = [ItemSpec(params=codec.pack({"p": PAYLOAD}))] * items
    appends = [Append(id="1", job_id=job_id, at=1 + number * items, items=specs) for number in range(APPENDS)]
    return [codec.encode(one) for one in (Submit(id="1", job_id=job_id, items=specs[:1], more=True), *appends)]


def _pings_ms(endpoint: str, is_over: Callable[[], bool]) -> list[float]:
    """How long pings take that are due one by one; what holds up one counts for those that were due meanwhile too."""
    body = codec.encode(Ping(id="1"))
    took_ms: list[float] = []
    with zmq.Context() as context, context.socket(zmq.REQ) as socket:
        socket.connect(endpoint)
        due_s = answered_s = time.perf_counter()
        while not is_over():
            time.sleep(max(0.0, due_s - time.perf_counter()))
            began_s = due_s if answered_s > due_s else time.perf_counter()  # a sleep that was too long is our own fault
            socket.send(body)
            if not socket.poll(TIMEOUT_MS):
                raise TimeoutError(endpoint)
            socket.recv()
            answered_s = time.perf_counter()
            took_ms.append((answered_s - began_s) * 1000)
            due_s = max(due_s, began_s) + PACE_S
    return took_ms


def _p99(values: list[float]) -> float:
    return sorted(values)[len(values) * 99 // 100]
