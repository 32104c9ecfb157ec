"""Libraries of Python, each in an environment of its own, measured by a script of ours that runs there."""

import json
import os
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.machine import without_paths
from benchmarks.peers.contenders import Peer, Unavailable
from benchmarks.peers.servers import free_port, postgresql, postgresql_version, redis
from benchmarks.peers.work import WHERE, Found, Order, arguments, memory_mib

INSTALL_S = 200.0
MEASURE_S = 400.0
ROOT = Path(__file__).parents[2]


class Library(Peer):
    """A peer whose environment is made when it is first needed, if that is allowed."""

    script: str
    """The beginning of the name of its module here, and the name of its environment."""
    packages: tuple[str, ...]
    """What to install; the first is the peer."""

    def __init__(self, environments: Path, *, may_install: bool) -> None:
        """`environments` holds those of all peers."""
        self._environment = environments / self.script
        self._may_install = may_install

    def version(self) -> str:
        package = self.packages[0].partition("[")[0]
        asked = f"from importlib.metadata import version; print(version({package!r}))"
        return _run([str(self.program("python")), "-c", asked], INSTALL_S).strip()

    def measure(self, folder: Path, order: Order) -> Found:
        self.install()
        with self.server(folder) as (where, pids):
            module = f"benchmarks.peers.scripts.{self.script}_queue"
            command = [str(self.program("python")), "-m", module, *arguments(order)]
            try:
                found: Found = json.loads(_run(command, MEASURE_S, where))
            except subprocess.SubprocessError as error:
                raise Unavailable(f"its script did not end well: {without_paths(str(error))}") from error
            return {**found, "memory": found["memory"] + memory_mib(*pids)}

    def install(self) -> None:
        """Make its environment, unless it is there. Raises Unavailable."""
        made = self._environment / "made"
        if made.exists():
            return
        if not self._may_install:
            where = f"{self._environment.parent.name}/{self.script}"
            raise Unavailable(f"{self.packages[0]} is not in {where}; a run without --quick installs it")
        try:
            _run([sys.executable, "-m", "venv", "--clear", "--without-pip", str(self._environment)], INSTALL_S)
            pip = [sys.executable, "-m", "pip", "--python", str(self.program("python"))]
            _run([*pip, "install", "-qq", "--disable-pip-version-check", "--retries", "1", *self.packages], INSTALL_S)
        except subprocess.SubprocessError as error:
            raise Unavailable(f"{self.packages[0]} can't be installed: {type(error).__name__} of pip") from error
        made.touch()

    def program(self, name: str) -> Path:
        """One of its environment."""
        return self._environment / "bin" / name

    @contextmanager
    def server(self, folder: Path) -> Generator[tuple[str, tuple[int, ...]]]:
        """A context with the server that it needs; gives what the script is told of it, and the server's process."""
        with redis(folder) as (port, pid):
            yield str(port), (pid,)


class Huey(Library):
    """No server: a call that writes a SQLite file of the caller."""

    name, does = "huey", "`fsync=True`, a consumer of one thread; embedded: a call without a round trip"
    script, packages = "huey", ("huey",)

    @contextmanager
    def server(self, folder: Path) -> Generator[tuple[str, tuple[int, ...]]]:
        yield str(folder / "huey.sqlite3"), ()


class Rq(Library):
    """Jobs in a Redis server whose every write is on disk before its answer, worked off without forks."""

    name, does = "rq", "Redis with `appendfsync always`, a SimpleWorker, which does not fork"
    script, packages = "rq", ("rq",)


class Celery(Library):
    """Tasks in such a Redis server, taken off it when they are done."""

    name, does = "celery", "Redis with `appendfsync always`, `acks_late`, no results, `--pool solo`"
    script, packages = "celery", ("celery[redis]",)


class Procrastinate(Library):
    """Jobs in PostgreSQL."""

    name, does = "procrastinate", "its defaults (fsync), a worker of one job at a time"
    script, packages = "procrastinate", ("procrastinate", "psycopg[binary]")

    def version(self) -> str:
        return f"{super().version()} on {postgresql_version()}"

    @contextmanager
    def server(self, folder: Path) -> Generator[tuple[str, tuple[int, ...]]]:
        with postgresql(folder) as (port, pid):
            yield str(port), (pid,)


class Bluesky(Library):
    """Plans in such a Redis server, run by a manager's run engine."""

    name, does = "bluesky-queueserver", "Redis with `appendfsync always`, plans of one message, autostart"
    script, packages = "bluesky", ("bluesky-queueserver",)

    @contextmanager
    def server(self, folder: Path) -> Generator[tuple[str, tuple[int, ...]]]:
        with redis(folder) as (port, pid):
            yield f"{folder} {port} {free_port()} {free_port()}", (pid,)


LIBRARIES: tuple[type[Library], ...] = (Huey, Rq, Celery, Procrastinate, Bluesky)


def _run(command: list[str], limit_s: float, where: str = "") -> str:
    """What a command prints. Raises subprocess.SubprocessError."""
    environment = {**os.environ, WHERE: where, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"}
    process = subprocess.Popen(
        command, env=environment, cwd="/", stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        printed, complaints = process.communicate(timeout=limit_s)
    finally:
        process.kill()
        process.wait()
    if process.returncode:
        last_words = (complaints.strip().splitlines() or ["it said nothing"])[-1]
        raise subprocess.SubprocessError(last_words)
    return printed
