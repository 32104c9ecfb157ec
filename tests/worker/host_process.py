"""A worker process as a daemon would start it, spoken to over its socketpair."""

import os
import socket
import subprocess
import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from tests.models.faults import PARAMETERS
from tests.worker.processes import BOUND_S

from stoker_daemon.jobs.parameters import by_name, with_defaults
from stoker_protocol.codec import FrameBuffer, decode_say, frame, pack
from stoker_protocol.worker import (
    AnyCommand,
    AnySay,
    Hosted,
    Load,
    Loaded,
    LoadFailed,
    Produced,
    Ready,
    RunBatch,
    RunEnded,
    WorkItem,
)

REPOSITORY = Path(__file__).parents[2]
T = TypeVar("T", bound=AnySay)


class HostProcess:
    """One worker and the daemon's end of its connection."""

    def __init__(self, process: "subprocess.Popen[str]", connection: socket.socket) -> None:
        self.process = process
        self.connection = connection
        self._frames = FrameBuffer()
        self._said: list[AnySay] = []

    def tell(self, command: AnyCommand) -> None:
        """Send a command."""
        self.connection.sendall(frame(command))

    def hear(self) -> AnySay | None:
        """What it says next; None: it closed the connection."""
        while not self._said:
            data = self.connection.recv(1 << 16)
            if not data:
                return None
            self._said.extend(map(decode_say, self._frames.feed(data)))
        return self._said.pop(0)

    @property
    def unheard(self) -> list[AnySay]:
        """What came together with what was heard last, and has not been heard yet."""
        return list(self._said)

    def hear_until(self, kind: type[T]) -> tuple[T, list[AnySay]]:
        """The next word of a kind, and what came before it."""
        before: list[AnySay] = []
        while True:
            said = self.hear()
            if isinstance(said, kind):
                return said, before
            assert said is not None, f"it ended after saying {before}"
            before.append(said)

    def load(self, model: str) -> Loaded | LoadFailed:
        """Load a model."""
        self.tell(Load(model=model))
        said = self.hear()
        assert isinstance(said, Loaded | LoadFailed)
        return said

    def resident_bytes(self) -> int:
        """The memory that the process has."""
        pages = Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def start(self, *items: Mapping[str, Any], run_id: str = "run", previews: bool = False, model: str = "") -> None:
        """Begin a run."""
        batch = [WorkItem(position, pack(with_required(item))) for position, item in enumerate(items)]
        self.tell(RunBatch(run_id=run_id, items=batch, previews=previews, model=model))

    def run(
        self, *items: Mapping[str, Any], run_id: str = "run", previews: bool = False, model: str = ""
    ) -> tuple[RunEnded, list[AnySay]]:
        """Run a batch to its end."""
        self.start(*items, run_id=run_id, previews=previews, model=model)
        return self.hear_until(RunEnded)


def with_required(params: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters of an item as the daemon completes them."""
    return with_defaults({"prompt": "a", **params}, by_name(PARAMETERS))


@contextmanager
def spawned(
    model: str = "tests.models.faults:Faults",
    options: Mapping[str, Any] | None = None,
    *,
    classes: Sequence[Hosted] = (),
    memory_mb: int = 0,
    leader: bool = False,
) -> Generator[HostProcess]:
    """A worker that is gone when the block ends; its stderr is `process.stderr`. `leader`: of its own process group.

    It hosts `classes`, or else the one class.
    """
    ours, theirs = socket.socketpair()
    ours.settimeout(BOUND_S)
    hosted = msgspec.json.encode(classes or [Hosted(model, dict(options or {}))]).decode()
    command = [sys.executable, "-P", "-m", "stoker_worker", "--classes", hosted, "--memory-mb", str(memory_mb)]
    with theirs:
        process = subprocess.Popen(
            [*command, "--fd", str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=leader,
        )
    try:
        with ours:
            yield HostProcess(process, ours)
    finally:
        process.kill()
        process.communicate()


@contextmanager
def ready(
    options: Mapping[str, Any] | None = None, *, model: str = "one", memory_mb: int = 0, leader: bool = False
) -> Generator[HostProcess]:
    """A worker of the fault models with a model loaded."""
    with spawned(options=options, memory_mb=memory_mb, leader=leader) as host:
        assert isinstance(host.hear(), Ready)
        host.load(model)
        yield host


def outputs(said: list[AnySay]) -> list[tuple[int, bytes]]:
    """Position and data of each output among these words."""
    return [(word.position, word.data) for word in said if isinstance(word, Produced)]
