"""How long a command takes from start to end, beside the imports that no such command can do without."""

import os
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from benchmarks.core.contenders import Stoker
from benchmarks.core.figures import Comparison, Figure, Findings, Setting, medians, ratio
from benchmarks.core.footprint import work_off
from benchmarks.peers.contenders import Unavailable
from benchmarks.peers.libraries import Rq
from benchmarks.peers.servers import redis

IMPORTS = [sys.executable, "-c", "import click, zmq, msgpack"]
TIMEOUT_S = 60.0


def starting(setting: Setting) -> Findings:
    """Ask a daemon that has done some jobs for its status, in turns with a process that only imports, and `rq info`.

    All find their modules compiled, as an installer leaves them, whatever this environment says about that.
    """
    times = 3 if setting.quick else 8 * setting.rounds
    left_out: dict[str, str] = {}
    with tempfile.TemporaryDirectory(dir=setting.folder) as folder, ExitStack() as stack:
        environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": f"{folder}/compiled"}
        daemon = Stoker()
        daemon.start(Path(folder))
        stack.callback(daemon.stop)
        daemon.begin_work()
        work_off(daemon, 100 if setting.quick else 1_000)
        status = [str(Path(sysconfig.get_path("scripts")) / "stoker"), "status", "--endpoint", daemon.endpoint]
        commands = {"stoker status": status, "import click, zmq, msgpack": IMPORTS}
        try:
            commands["rq info"] = _rq_info(setting, stack, Path(folder))
        except Unavailable as reason:
            left_out["rq info"] = str(reason)
        took_ms = {name: list[float]() for name in commands}
        for name, command in list(commands.items()) * (times + 1):
            took_ms[name].append(_run_ms(command, environment))
    chunks = {name: medians(column[1:], setting.rounds) for name, column in took_ms.items()}  # the first compiled
    return Findings(_figures(chunks), [Comparison("command from start to end", "ms", chunks)], left_out)


def _rq_info(setting: Setting, stack: ExitStack, folder: Path) -> list[str]:
    """Raises Unavailable."""
    rq = Rq(setting.environments.absolute(), may_install=not setting.quick)
    rq.install()
    port, _ = stack.enter_context(redis(folder))
    return [str(rq.program("rq")), "info", "--url", f"redis://127.0.0.1:{port}"]


def _figures(took_ms: dict[str, list[float]]) -> list[Figure]:
    ours, floor = took_ms["stoker status"], took_ms["import click, zmq, msgpack"]
    made_of = f"{statistics.median(ours):.1f} ms; import click, zmq, msgpack: {statistics.median(floor):.1f} ms"
    figures = [ratio("stoker status, to the imports alone", ours, floor, "<=", 1.5, made_of)]
    if theirs := took_ms.get("rq info"):
        made_of = f"{statistics.median(ours):.1f} to {statistics.median(theirs):.1f} ms"
        figures.append(ratio("stoker status, times as fast as rq info", theirs, ours, ">=", 2.2, made_of))
    return figures


def _run_ms(command: list[str], environment: dict[str, str]) -> float:
    began_s = time.perf_counter()
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL, timeout=TIMEOUT_S)
    return (time.perf_counter() - began_s) * 1000
