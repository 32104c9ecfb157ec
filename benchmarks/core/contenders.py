"""Who is measured: the bare limit and Stoker, each a process of its own that is asked over a socket."""

import os
import signal
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from itertools import count
from pathlib import Path

import msgspec

from benchmarks.core.load import ask
from benchmarks.core.marks import PAYLOAD
from benchmarks.core.steps import Step
from stoker_client import Client
from stoker_client.private_daemon import PrivateDaemon
from stoker_protocol import codec
from stoker_protocol.requests import ItemSpec, Submit

ENGINE = "noop"
CONFIG = """
[engines.noop]
model = "benchmarks.core.noop:Noop"
python_path = ["{root}"]
"""


def submit_request(number: int, items: int, payload: str = PAYLOAD) -> bytes:
    """A job as clients of Stoker send it."""
    specs = [ItemSpec(params=codec.pack({"p": payload}))] * items
    return codec.encode(Submit(id=str(number), job_id=f"bench-{number}", items=specs, batch_size=1))


class Contender(ABC):
    """A durable queue in a directory of its own. Requests are answered when they are on disk."""

    name: str
    endpoint: str
    pid: int

    @abstractmethod
    def start(self, folder: Path) -> None: ...

    @abstractmethod
    def stop(self) -> None: ...

    @abstractmethod
    def submit_request(self, items: int, payload: str = PAYLOAD) -> bytes: ...


class Worker(Contender):
    """One that also works its queue off, once it is told to begin."""

    @abstractmethod
    def begin_work(self) -> None: ...

    @abstractmethod
    def left(self) -> int: ...


def await_left(worker: Worker, at_most: int, look_s: float, limit_s: float = 600.0) -> int:
    """Wait until no more than so many items are left; how many are."""
    until_s = time.monotonic() + limit_s
    while (left := worker.left()) > at_most:
        assert time.monotonic() < until_s, "no work goes on"
        time.sleep(look_s)
    return left


class _Program(Contender):
    """A module of this package that is given its arguments and a directory, and prints its endpoint."""

    module: str
    arguments: tuple[str, ...] = ()

    def start(self, folder: Path) -> None:
        command = [sys.executable, "-m", f"benchmarks.core.{self.module}", *self.arguments, str(folder)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
        assert self._process.stdout is not None
        self.endpoint, self.pid = self._process.stdout.readline().strip(), self._process.pid

    def stop(self) -> None:
        os.killpg(self.pid, signal.SIGKILL)  # its worker too
        self._process.wait(30)


class Stepped(_Program):
    """The limit and some of what the daemon does besides (`steps.py`)."""

    module = "steps"

    def __init__(self, step: Step) -> None:
        self.name, self.arguments = step.name.lower(), (step.name,)
        self._numbers = count()

    def submit_request(self, items: int, payload: str = PAYLOAD) -> bytes:
        return submit_request(next(self._numbers), items, payload)


class Limit(_Program, Worker):
    """The bare limit (`limit.py`)."""

    name = "limit"
    module = "limit"

    def submit_request(self, items: int, payload: str = PAYLOAD) -> bytes:
        return msgspec.msgpack.encode({"op": "submit", "n": items, "p": payload.encode()})

    def begin_work(self) -> None:
        self._ask({"op": "run"})

    def left(self) -> int:
        return msgspec.msgpack.decode(self._ask({"op": "left"}), type=int)

    def _ask(self, request: dict[str, str]) -> bytes:
        return ask(self.endpoint, msgspec.msgpack.encode(request))


class Stoker(Worker):
    """The real daemon with its defaults and a model that does nothing; its queue is held until work begins."""

    name = "stoker"

    def start(self, folder: Path) -> None:
        config = folder / "stokerd.toml"
        config.write_text(CONFIG.format(root=Path(__file__).parents[2]))
        self.data_dir = folder / "data"
        self._daemon = PrivateDaemon(self.data_dir, args=["--config", str(config)])
        self._daemon.start()
        self.endpoint, self.pid = self._daemon.control, self._daemon.pid
        self._client = Client(self.endpoint, timeout_s=30)
        self._client.pause(reason="benchmark")
        self._numbers = count()

    def stop(self) -> None:
        self._client.close()
        self._daemon.stop()

    def kill(self) -> None:
        """End it as a power cut would."""
        self._daemon.kill()

    def restart(self) -> None:
        """Start it again where it was."""
        self._daemon.restart()
        self.pid = self._daemon.pid

    def submit_request(self, items: int, payload: str = PAYLOAD) -> bytes:
        return submit_request(next(self._numbers), items, payload)

    def begin_work(self) -> None:
        self._client.resume()

    def left(self) -> int:
        # One job is named so that not all of them come along: only the totals are wanted.
        queue = self._client.snapshot(["bench-0"]).queue
        return queue.pending + queue.running
