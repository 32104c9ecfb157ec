"""How long a daemon that was killed with much in its queue takes until it answers, and until it works on."""

import statistics
import tempfile
import time
from pathlib import Path

from benchmarks.core.contenders import Stoker, await_left
from benchmarks.core.figures import Figure, Setting
from benchmarks.core.load import ask, lockstep_s
from stoker_protocol import codec
from stoker_protocol.requests import Ping

CLIENTS = 64
RESERVE = 10_000
"""Items more than are said to wait, since some are done between the kills, in one job."""
LOOK_S, LIMIT_S = 0.002, 60.0


def recovering(setting: Setting) -> list[Figure]:
    """Kill it at work in each round, after a first time without a queue."""
    jobs, reserve = (500, 500) if setting.quick else (100_000, RESERVE)
    with tempfile.TemporaryDirectory(dir=setting.folder) as folder:
        daemon = Stoker()
        daemon.start(Path(folder))
        try:
            empty_s = statistics.median(_answers_s(daemon) for _ in range(setting.rounds))
            lockstep_s(daemon.endpoint, [daemon.submit_request(1) for _ in range(jobs)], CLIENTS)
            for _ in range(-(-setting.rounds // 2)):
                lockstep_s(daemon.endpoint, [daemon.submit_request(reserve)])
            daemon.begin_work()
            rounds = [_killed_at_work(daemon) for _ in range(setting.rounds)]
            left = daemon.left()
        finally:
            daemon.stop()
    answers_s, works_s = (sorted(column) for column in zip(*rounds, strict=True))
    made_of = f"{left} left at the end; with an empty queue {empty_s:.2f} s"
    name = f"kill -9 with {jobs} jobs queued, until it"
    return [
        Figure(f"{name} answers", statistics.median(answers_s), "s", "<=", 1, made_of, answers_s[0], answers_s[-1]),
        Figure(f"{name} works on", statistics.median(works_s), "s", "<=", None, "", works_s[0], works_s[-1]),
    ]


def _answers_s(daemon: Stoker) -> float:
    """Seconds from a kill to an answer."""
    daemon.kill()
    began_s = time.perf_counter()
    daemon.restart()
    ask(daemon.endpoint, codec.encode(Ping(id="1")))
    return time.perf_counter() - began_s


def _killed_at_work(daemon: Stoker) -> tuple[float, float]:
    """Seconds from a kill to an answer, and until an item more is done."""
    await_left(daemon, daemon.left() - 1, LOOK_S, LIMIT_S)
    began_s = time.perf_counter()
    answers_s = _answers_s(daemon)
    await_left(daemon, daemon.left() - 1, LOOK_S, LIMIT_S)
    return answers_s, time.perf_counter() - began_s
