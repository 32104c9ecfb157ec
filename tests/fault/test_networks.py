"""Who watches over a bad network hears every event once: a cut cable, lost packets, a client asleep, a dead daemon."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest
from tests.fault.audit import audit, connect
from tests.fault.networks import DAEMON, Cable, a_cable
from tests.system.daemons import REPOSITORY, config
from tests.worker.processes import BOUND_S, wait_for

from stoker_client import Client
from stoker_client.private_daemon import PrivateDaemon
from stoker_daemon.admin import keys
from stoker_protocol.keys import to_text
from stoker_protocol.requests import Role

CUT_S = 2.5


class FarDaemon(PrivateDaemon):
    """A daemon on a host of its own, reached by key over the cable, and by the test over IPC."""

    def __init__(self, folder: Path, cable: Cable) -> None:
        (folder / "stokerd.toml").write_text(config())
        self.local = f"ipc://{folder}/c"
        more = ["--control", self.local, "--events", f"ipc://{folder}/e", "--config", str(folder / "stokerd.toml")]
        super().__init__(folder / "data", args=more)
        self.control = self.events = f"tcp://{DAEMON}:0"
        self._cable = cable

    def _command(self) -> list[str]:
        return self._cable.on_daemon_host(*super()._command())


class FarWatcher:
    """A process on the client's host that prints a JSON line for each update."""

    def __init__(self, command: list[str], printed: Path) -> None:
        self._printed = printed
        with printed.open("wb") as out:
            self.process = subprocess.Popen(command, stdout=out, cwd=REPOSITORY)

    @property
    def seqs(self) -> list[int]:
        """The lifecycle events that it told, in its order."""
        lines = self._printed.read_bytes().split(b"\n")[:-1]
        return [seq for line in lines if (seq := json.loads(line).get("seq")) is not None]

    def has_begun(self) -> bool:
        """Whether it told anything yet."""
        return self._printed.stat().st_size > 0


@contextmanager
def watchers_of(job_id: str, daemon: FarDaemon, cable: Cable, folder: Path) -> Generator[list[FarWatcher]]:
    """`stoker watch` and a program with the library, both on the client's host."""
    key = folder / "ann.key"
    key.touch(0o600)
    key.write_text(to_text(keys.add(daemon.data_dir, "ann", Role.VIEW, daemon.control)))
    command = [sys.executable, "-c", "from stoker_client.cli import main; main()", "watch", job_id, "--json"]
    library = [sys.executable, "-m", "tests.fault.watch_everything", daemon.control, str(key), job_id]
    with ExitStack() as stack:
        started: list[FarWatcher] = []
        for number, line in enumerate(([*command, "--key", str(key)], library)):
            watcher = FarWatcher(cable.on_client_host(*line), folder / f"printed-{number}")
            stack.callback(watcher.process.wait)
            stack.callback(watcher.process.kill)
            started.append(watcher)
        wait_for(lambda: all(watcher.has_begun() for watcher in started))
        yield started


class Job:
    """An open job that gets an item now and then, each of which makes some events."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.job_id = client.submit(["0"], more=True, batch_size=1).job_id
        self._items = 1

    def work(self, items: int = 5) -> None:
        """Add items, one after the other, and wait until they are done."""
        for _ in range(items):
            self._items = self._client.append(self.job_id, self._items, [str(self._items)]).total
            wait_for(lambda: self._client.job(self.job_id).items.succeeded == self._items)

    def end(self) -> None:
        """No more."""
        self._client.seal(self.job_id)


def committed(data_dir: Path, job_id: str) -> list[int]:
    """The numbers of all events of a job, from the disk."""
    with closing(connect(data_dir)) as connection:
        rows = connection.execute("SELECT seq FROM events WHERE thread = ? ORDER BY seq", (f"job/{job_id}/",))
        return [seq for (seq,) in rows]


@pytest.fixture
def cable() -> Generator[Cable]:
    """Two hosts."""
    with a_cable() as cable:
        yield cable


def test_a_bad_day_on_the_network(cable: Cable, tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    """We expect `stoker watch` and the library to tell each event once, in order, whatever befalls the way to them."""
    daemon = FarDaemon(tmp_path, cable)
    keys.init(daemon.data_dir)
    with daemon, Client(daemon.local, timeout_s=BOUND_S) as client:
        job = Job(client)
        with watchers_of(job.job_id, daemon, cable, tmp_path) as watchers:

            def all_know_everything() -> None:
                last = committed(daemon.data_dir, job.job_id)[-1]
                wait_for(lambda: all(watcher.seqs and watcher.seqs[-1] == last for watcher in watchers))

            job.work()
            all_know_everything()
            until_s = time.monotonic() + CUT_S
            with cable.losing(100):
                job.work()
                wait_for(lambda: time.monotonic() > until_s)
            all_know_everything()
            with cable.losing(20):
                job.work(20)
                all_know_everything()
            for watcher in watchers:
                watcher.process.send_signal(signal.SIGSTOP)
            job.work()
            for watcher in watchers:
                watcher.process.send_signal(signal.SIGCONT)
            all_know_everything()
            daemon.restart()
            job.work()
            all_know_everything()
            job.end()
            assert [watcher.process.wait(BOUND_S) for watcher in watchers] == [0, 0]
            told = committed(daemon.data_dir, job.job_id)
            for watcher in watchers:
                assert watcher.seqs == told[told.index(watcher.seqs[0]) :]
        record_property("events over a bad network", f"{len(told)}, each told once to two watchers")
    audit(daemon.data_dir)
