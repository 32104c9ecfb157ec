"""Who is measured: durable queues, each with a directory and ports of its own, or left out with the reason."""

import shutil
import socket
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from pathlib import Path

from benchmarks.core.contenders import PAYLOAD, Limit, Stoker
from benchmarks.core.throughput import Submits, noop_items
from benchmarks.peers.lines import lockstep_s

SUBMITS = {"one by one": (1, 1), "64 clients": (1, 64), "100 a request": (100, 1)}
"""Items of a request, and clients that have one under way each."""
MEASURES = (*SUBMITS, "no-op items")
"""Each in jobs or items a second."""

START_S = 30.0
MEASURE_S = 300.0


class Unavailable(Exception):
    """A peer that can't be measured here; the message says what is missing."""


class Peer(ABC):
    """A durable queue. What it answers, or returns from, is on disk."""

    name: str
    does: str
    """What of Stoker's work it does, in a few words."""

    @abstractmethod
    def start(self, folder: Path) -> None:
        """Start it in an empty directory. Raises Unavailable."""

    @abstractmethod
    def stop(self) -> None: ...

    @abstractmethod
    def rate(self, measure: str, count: int) -> float | None:
        """Jobs or items a second of `count`; None: it has no such thing."""


class Core(Peer):
    """Stoker, or the limit of its design."""

    def __init__(self, contender: Limit | Stoker, does: str) -> None:
        self._contender, self.name, self.does = contender, contender.name, does

    def start(self, folder: Path) -> None:
        self._contender.start(folder)

    def stop(self) -> None:
        self._contender.stop()

    def rate(self, measure: str, count: int) -> float | None:
        if measure == "no-op items":
            return noop_items(self._contender, count / 2000)
        items, clients = SUBMITS[measure]
        return Submits(count // items, items, clients).rate(self._contender, 1.0)


class _Server(Peer):
    """A server in C that is asked over its own protocol."""

    program: str
    package: str
    lines: int
    """Of an answer to one job."""

    def start(self, folder: Path) -> None:
        if shutil.which(self.program) is None:
            raise Unavailable(f"{self.program} is not installed; on Debian: apt install {self.package}")
        self.port = free_port()
        self._process = subprocess.Popen(
            [self.program, *self.arguments(self.port, folder)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        wait_for_port(self.port)

    def stop(self) -> None:
        self._process.kill()
        self._process.wait(START_S)

    def rate(self, measure: str, count: int) -> float | None:
        if measure not in SUBMITS:
            return None
        items, clients = SUBMITS[measure]
        requests = [self.request() * items] * (count // items)
        return len(requests) * items / lockstep_s(self.port, requests, self.lines * items, clients)

    @abstractmethod
    def arguments(self, port: int, folder: Path) -> list[str]: ...

    @abstractmethod
    def request(self) -> bytes: ...


class Beanstalkd(_Server):
    """A broker in C whose log is on disk before each answer."""

    name, does = "beanstalkd -f 0", "a broker in C: no items, no outcomes, no events"
    program = package = "beanstalkd"
    lines = 1

    def arguments(self, port: int, folder: Path) -> list[str]:
        return ["-l", "127.0.0.1", "-p", str(port), "-b", str(folder), "-f", "0"]

    def request(self) -> bytes:
        return b"put 0 0 60 %d\r\n%s\r\n" % (len(PAYLOAD), PAYLOAD.encode())


class RedisStreams(_Server):
    """XADD, with each write on disk before its answer; 100 a request are sent at once."""

    name, does = "Redis Streams", "a log in C: no items, no outcomes, no priorities"
    program, package = "redis-server", "redis-server"
    lines = 2

    def arguments(self, port: int, folder: Path) -> list[str]:
        return [*f"--bind 127.0.0.1 --port {port} --appendonly yes --appendfsync always --dir".split(), str(folder)]

    def request(self) -> bytes:
        words = [b"XADD", b"queue", b"*", b"p", PAYLOAD.encode()]
        return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)


class _Python(Peer):
    """A library of Python in an environment of its own, asked by a script of ours that runs there."""

    package: str
    script: str
    measures: tuple[str, ...]

    def __init__(self, environments: Path) -> None:
        self._environment = environments / self.package

    def start(self, folder: Path) -> None:
        python = self._environment / "bin" / "python"
        if not (self._environment / "made").exists():
            try:
                run([sys.executable, "-m", "venv", str(self._environment)])
                run([str(python), "-m", "pip", "install", "-qq", "--disable-pip-version-check", self.package])
            except (subprocess.SubprocessError, OSError) as error:
                raise Unavailable(f"{self.package} can't be installed: {error}") from None
            (self._environment / "made").touch()
        self._python, self._folder = python, folder

    def stop(self) -> None:
        """The script has ended."""

    def rate(self, measure: str, count: int) -> float | None:
        if measure not in self.measures:
            return None
        script = Path(__file__).with_name(self.script)
        return float(run([str(self._python), str(script), measure, str(count), self.where()]))

    def where(self) -> str:
        """What the script is told of the place of its queue."""
        return str(self._folder)


class Huey(_Python):
    """No server: a call that writes a SQLite file of the caller."""

    name, does = "huey (fsync)", "embedded: a call without a round trip"
    package, script = "huey", "huey_peer.py"
    measures = ("one by one", "no-op items")


class Rq(_Python):
    """Jobs in a Redis server whose every write is on disk before its answer, worked off without forks."""

    name, does = "rq (fsync)", "jobs on Redis, a SimpleWorker"
    package, script = "rq", "rq_peer.py"
    measures = ("one by one", "100 a request", "no-op items")

    def start(self, folder: Path) -> None:
        self._redis = RedisStreams()
        super().start(folder)
        self._redis.start(folder)

    def stop(self) -> None:
        self._redis.stop()

    def where(self) -> str:
        return str(self._redis.port)


def run(command: list[str]) -> str:
    """What a command prints. Raises subprocess.SubprocessError."""
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=MEASURE_S).stdout


def free_port() -> int:
    """A TCP port that nobody has at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for_port(port: int) -> None:
    """Wait until a server listens. Raises TimeoutError."""
    until_s = time.monotonic() + START_S
    while time.monotonic() < until_s:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise TimeoutError(f"nobody listens on port {port}")
