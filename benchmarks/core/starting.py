"""How long a command takes from start to end, beside the imports that no such command can do without."""

import os
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path

from benchmarks.core.contenders import Stoker
from benchmarks.core.figures import Figure, Setting
from benchmarks.core.footprint import work_off

IMPORTS = [sys.executable, "-c", "import click, zmq, msgpack"]


def starting(setting: Setting) -> list[Figure]:
    """Ask a daemon that has done some jobs for its status, in turns with a process that only imports.

    Both find their modules compiled, as an installer leaves them, whatever this environment says about that.
    """
    times = 3 if setting.quick else 40
    with tempfile.TemporaryDirectory(dir=setting.folder) as folder:
        environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": f"{folder}/compiled"}
        daemon = Stoker()
        daemon.start(Path(folder))
        try:
            daemon.begin_work()
            work_off(daemon, 1_000)
            status = [str(Path(sysconfig.get_path("scripts")) / "stoker"), "status", "--endpoint", daemon.endpoint]
            rounds = [(_run_ms(status, environment), _run_ms(IMPORTS, environment)) for _ in range(times + 1)]
        finally:
            daemon.stop()
    del rounds[0]  # which compiled
    ours_ms, floor_ms = (statistics.median(column) for column in zip(*rounds, strict=True))
    ratio = statistics.median(ours / floor for ours, floor in rounds)
    made_of = f"{ours_ms:.1f} ms; import click, zmq, msgpack: {floor_ms:.1f} ms"
    return [Figure("stoker status, to the imports alone", ratio, "", "<=", 2, made_of)]


def _run_ms(command: list[str], environment: dict[str, str]) -> float:
    began_s = time.perf_counter()
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
    return (time.perf_counter() - began_s) * 1000
