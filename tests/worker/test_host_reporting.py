"""How often a model's reports become messages, with a clock that the test turns."""

import socket
from collections.abc import Generator
from contextlib import contextmanager

import pytest

from stoker_protocol.codec import FrameBuffer, decode_say, frame, pack
from stoker_protocol.worker import AnySay, Interrupt, Report, RunBatch, WorkItem
from stoker_worker.connection import Connection
from stoker_worker.model import Interrupted
from stoker_worker.reporting import Reporter


class Bench:
    """A reporter, its clock in seconds, and the daemon's end of its connection."""

    def __init__(self, ours: socket.socket, theirs: socket.socket, *, previews: bool) -> None:
        self.now_s = 100.0
        self.connection = Connection(theirs)
        self.daemon = ours
        run = RunBatch(run_id="run", items=[WorkItem(0, pack({}))], previews=previews)
        self.report = Reporter(run, self.connection, lambda: self.now_s)

    def said(self) -> list[AnySay]:
        """What the daemon has been told since it was last asked."""
        try:
            data = self.daemon.recv(1 << 20, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return []
        return list(map(decode_say, FrameBuffer().feed(data)))


@contextmanager
def bench(*, previews: bool = False) -> Generator[Bench]:
    """A bench whose connection is closed at the end."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield Bench(ours, theirs, previews=previews)


def test_at_most_twenty_reports_a_second() -> None:
    """Of a thousand steps in a second some twenty are told, the first and the last among them."""
    with bench() as b:
        said: list[AnySay] = []
        for step in range(1, 1001):
            b.report(phase="sampling", step=step, steps=1000)
            said += b.said()
            b.now_s += 0.001
        steps = [word.step for word in said if isinstance(word, Report)]
        assert 20 <= len(steps) <= 21
        assert (steps[0], steps[-1]) == (1, 1000)


def test_at_most_two_previews_a_second() -> None:
    """A preview is wanted twice a second, and is told whenever it was wanted."""
    with bench(previews=True) as b:
        wanted = 0
        said: list[AnySay] = []
        for step in range(1, 1001):
            preview = b"picture" if b.report.wants_preview else None
            wanted += preview is not None
            b.report(phase="sampling", step=step, steps=2000, preview=preview, position=0)
            said += b.said()
            b.now_s += 0.001
        previews = [word for word in said if isinstance(word, Report) and word.preview]
        assert wanted == len(previews) == 2


def test_unwanted_previews_are_dropped() -> None:
    """Nobody is shown what nobody asked for, while the step itself is told."""
    with bench(previews=False) as b:
        assert not b.report.wants_preview
        b.report(phase="sampling", step=1, steps=2, preview=b"picture", position=0)
        assert b.said() == [Report(run_id="run", phase="sampling", step=1, steps=2, position=0)]


def test_every_report_notices_an_interrupt() -> None:
    """A report raises once the run is to stop, even one that would not have been told."""
    with bench() as b:
        b.report(phase="sampling", step=1, steps=9)
        b.connection._take(frame(Interrupt(run_id="run"))[4:])
        with pytest.raises(Interrupted):
            b.report(phase="sampling", step=2, steps=9)
        assert len(b.said()) == 1
