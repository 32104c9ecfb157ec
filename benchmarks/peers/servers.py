"""Servers that peers are, or that they need, started on private ports and ended with all that they have started."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from abc import abstractmethod
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.core.marks import PAYLOAD
from benchmarks.machine import without_paths
from benchmarks.peers.contenders import SUBMITS, Peer, Unavailable
from benchmarks.peers.lines import lockstep_s
from benchmarks.peers.work import Found, Order, memory_mib

START_S = 30.0
POSTGRESQL = "postgresql/*/bin"
"""Below /usr/lib, where Debian keeps the programs of each version."""
USERS = ("postgres", "nobody")
"""As whom PostgreSQL runs if we are root, which it refuses."""


class _Broker(Peer):
    """A server in C that is asked over its own protocol, and works nothing off."""

    program: str
    package: str
    lines: int
    """Of an answer to one job."""

    def version(self) -> str:
        for flag in ("--version", "-v"):
            done = subprocess.run([self.program, flag], capture_output=True, text=True, timeout=START_S, check=False)
            if done.returncode == 0:
                return next((word for word in done.stdout.replace("=", " ").split() if word[:1].isdigit()), "")
        return ""

    def measure(self, folder: Path, order: Order) -> Found:
        counts = {"one by one": order.one_by_one, "64 clients": order.many_clients, "100 a request": order.hundreds}
        with served(self.program, self.package, lambda port: self.arguments(port, folder)) as (port, pid):
            found = {name: self._rate(port, counts[name], *how) for name, how in SUBMITS.items()}
            return {**found, "memory": memory_mib(pid)}

    def _rate(self, port: int, count: int, items: int, clients: int) -> float:
        requests = [self.request() * items] * (count // items)
        return len(requests) * items / lockstep_s(port, requests, self.lines * items, clients)

    @abstractmethod
    def arguments(self, port: int, folder: Path) -> list[str]: ...

    @abstractmethod
    def request(self) -> bytes: ...


class Beanstalkd(_Broker):
    """A broker in C whose log is on disk before each answer."""

    name, does = "beanstalkd", "`-f 0`; a broker in C: no items, outcomes or events"
    program = package = "beanstalkd"
    lines = 1

    def arguments(self, port: int, folder: Path) -> list[str]:
        return ["-l", "127.0.0.1", "-p", str(port), "-b", str(folder), "-f", "0"]

    def request(self) -> bytes:
        return b"put 0 0 60 %d\r\n%s\r\n" % (len(PAYLOAD), PAYLOAD.encode())


class RedisStreams(_Broker):
    """XADD, with each write on disk before its answer; 100 a request are sent at once."""

    name, does = "Redis Streams", "XADD, `appendfsync always`; a log in C: no items, outcomes or priorities"
    program = package = "redis-server"
    lines = 2

    def arguments(self, port: int, folder: Path) -> list[str]:
        return redis_arguments(port, folder)

    def request(self) -> bytes:
        words = [b"XADD", b"queue", b"*", b"p", PAYLOAD.encode()]
        return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)


@contextmanager
def redis(folder: Path) -> Generator[tuple[int, int]]:
    """A context with a Redis server whose every write is on disk before its answer; gives its port and process."""
    with served("redis-server", "redis-server", lambda port: redis_arguments(port, folder)) as (port, pid):
        yield port, pid


def redis_arguments(port: int, folder: Path) -> list[str]:
    """Those of a Redis server that keeps its log in a folder, and writes no snapshots besides."""
    flags = f"--bind 127.0.0.1 --port {port} --appendonly yes --appendfsync always --dir".split()
    return [*flags, str(folder), "--save", ""]


@contextmanager
def postgresql(folder: Path) -> Generator[tuple[int, int]]:
    """A context with a PostgreSQL server of its defaults, fsync among them; gives its port and process.

    Its superuser is `bench`, who needs no password on loopback. Raises Unavailable.
    """
    server = _postgresql_program("postgres")
    user = _other_user()
    data = folder / "data"
    data.mkdir()
    if user:
        folder.chmod(0o711)  # so that it finds its own folder
        os.chown(data, user.pw_uid, user.pw_gid)
    uid = user.pw_uid if user else None
    initdb = [str(_postgresql_program("initdb")), "-D", str(data), "--no-sync", "-A", "trust", "-U", "bench"]
    made = subprocess.run(initdb, cwd="/", user=uid, capture_output=True, text=True, timeout=START_S, check=False)
    if made.returncode:
        raise Unavailable(
            f"initdb, as {user.pw_name if user else 'us'}: {without_paths(made.stderr.strip().splitlines()[-1])}"
        )
    port = free_port()
    command = [str(server), "-D", str(data), "-p", str(port), "-h", "127.0.0.1", "-k", ""]
    with _running(command, port, uid) as pid:
        yield port, pid


def postgresql_version() -> str:
    """`PostgreSQL 15.1`."""
    command = [str(_postgresql_program("postgres")), "--version"]
    said = subprocess.run(command, check=True, capture_output=True, text=True, timeout=START_S).stdout
    return f"PostgreSQL {said.split()[2]}"


def _postgresql_program(name: str) -> Path:
    found = sorted(Path("/usr/lib").glob(f"{POSTGRESQL}/{name}")) or [Path(shutil.which(name) or "")]
    if not found[-1].is_file():
        raise Unavailable(f"{name} is not installed; on Debian: apt install postgresql")
    return found[-1]


def _other_user() -> pwd.struct_passwd | None:
    """As whom to run it, if not as ourselves."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    return next(known[name] for name in USERS if name in known)


@contextmanager
def served(program: str, package: str, arguments: Callable[[int], list[str]]) -> Generator[tuple[int, int]]:
    """A context with a server on a port that nobody has; gives the port and its process. Raises Unavailable."""
    if shutil.which(program) is None:
        raise Unavailable(f"{program} is not installed; on Debian: apt install {package}")
    port = free_port()
    with _running([program, *arguments(port)], port) as pid:
        yield port, pid


@contextmanager
def _running(command: Sequence[str], port: int, uid: int | None = None) -> Generator[int]:
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(command, cwd="/", user=uid, stdout=quiet, stderr=quiet, start_new_session=True)
    try:
        wait_for_port(port, process)
        yield process.pid
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(START_S)


def free_port() -> int:
    """A TCP port that nobody has at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for_port(port: int, process: "subprocess.Popen[bytes]") -> None:
    """Wait until a server listens. Raises Unavailable if it ends or never does."""
    until_s = time.monotonic() + START_S
    while process.poll() is None and time.monotonic() < until_s:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise Unavailable("it does not listen on its port")
