"""What the daemon costs: memory and CPU while it has nothing to do, and whether work makes it grow."""

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.core.contenders import Stoker, await_left
from benchmarks.core.figures import Figure, Setting
from benchmarks.core.load import lockstep_s
from benchmarks.core.processes import cpu_ms, pss_mib, rss_mib, with_children

ITEMS_A_JOB = 100
IMPORTS = ("zmq, msgspec", "sqlite3, asyncio", "structlog, psutil, pynvml", "stoker_daemon.main")
"""Of the daemon, each with those before."""
SETTLE_S = 3.0
"""After its start or its work the daemon writes summaries and learns what its engines offer."""


def footprint(setting: Setting) -> list[Figure]:
    """Watch one daemon with a warm worker: idle, through many items that do nothing, and idle again."""
    idle_s, warm_up, items = (1.0, 200, 1_000) if setting.quick else (30.0, 5_000, 100_000)
    with tempfile.TemporaryDirectory(dir=setting.folder) as folder:
        daemon = Stoker()
        daemon.start(Path(folder))
        try:
            daemon.begin_work()
            figures = [_idle_cpu(daemon.pid, idle_s, "at first"), _memory(daemon.pid)]
            work_off(daemon, warm_up)
            figures.append(_growth(daemon, items))
            return [*figures, _idle_cpu(daemon.pid, idle_s, "after work"), *_imports()]
        finally:
            daemon.stop()


def work_off(daemon: Stoker, items: int) -> float:
    """Submit items in jobs of a hundred and wait until all are done; the seconds that this took."""
    began_s = time.perf_counter()
    lockstep_s(daemon.endpoint, [daemon.submit_request(ITEMS_A_JOB) for _ in range(items // ITEMS_A_JOB)])
    await_left(daemon, 0, 0.05)
    return time.perf_counter() - began_s


def _memory(pid: int) -> Figure:
    made_of = f"RSS of the daemon, PSS {pss_mib(pid):.1f}; its worker is beside it"
    return Figure("memory of an idle daemon", rss_mib(pid), "MiB", "<=", 45, made_of)


def _imports() -> list[Figure]:
    """What of the memory are imports: an interpreter with none, and with more and more of them."""
    steps = ["sys", *(", ".join(IMPORTS[:number]) for number in range(1, len(IMPORTS) + 1))]
    names = ["an interpreter", *(f"... with {each}" for each in IMPORTS)]
    return [
        Figure(f"memory of {name}", _imported_mib(step), "MiB", "<=", None, "RSS")
        for name, step in zip(names, steps, strict=True)
    ]


def _imported_mib(modules: str) -> float:
    """The memory of a process that has only imported some modules."""
    told = f"import {modules}, os; from benchmarks.core.processes import rss_mib; print(rss_mib(os.getpid()))"
    said = subprocess.run([sys.executable, "-c", told], check=True, capture_output=True, text=True, timeout=60)
    return float(said.stdout)


def _growth(daemon: Stoker, items: int) -> Figure:
    """The memory after ten equal portions of the items tells steady growth from a cache that fills up."""
    curve = [_settled_rss_mib(daemon.pid)]
    took_s = 0.0
    for _ in range(10):
        took_s += work_off(daemon, items // 10)
        curve.append(_settled_rss_mib(daemon.pid))
    made_of = f"RSS after each tenth of {items} items in {took_s:.0f} s: {' '.join(f'{mib:.1f}' for mib in curve)}"
    return Figure("growth over no-op items", curve[-1] - curve[0], "MiB", "<=", 5, made_of)


def _settled_rss_mib(pid: int) -> float:
    """The median of a few looks, so that no request at work counts."""
    looks: list[float] = []
    for _ in range(5):
        time.sleep(0.1)
        looks.append(rss_mib(pid))
    return statistics.median(looks)


def _idle_cpu(pid: int, seconds: float, when: str) -> Figure:
    time.sleep(SETTLE_S)
    pids = with_children(pid)
    before_ms, began_s = cpu_ms(pids), time.perf_counter()
    time.sleep(seconds)
    used_ms, took_s = cpu_ms(pids) - before_ms, time.perf_counter() - began_s
    made_of = f"{used_ms:.0f} ms of {len(pids)} processes in {took_s:.0f} s"
    return Figure(f"CPU of an idle daemon {when}", used_ms / took_s, "ms/s", "<=", 2, made_of)
