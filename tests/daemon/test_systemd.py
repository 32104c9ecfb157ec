"""What systemd hears of the daemon, at a socket like the one that it listens on."""

import asyncio
import os
import socket
from collections.abc import Generator
from pathlib import Path

import pytest

from stoker_daemon.systemd import Condition, Notifier, Pulse, status_line
from stoker_protocol.errors import ErrorCode, Refused
from stoker_protocol.jobs import Lane, Pause, Queue


class Manager:
    """The other end: what arrived, in its order."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + address[1:] if address.startswith("@") else address)
        self._socket.setblocking(False)

    def heard(self) -> list[str]:
        """All messages since the last look."""
        messages: list[str] = []
        try:
            while True:
                messages.append(self._socket.recv(4096).decode())
        except BlockingIOError:
            return messages

    def close(self) -> None:
        """Let the socket go."""
        self._socket.close()


@pytest.fixture(params=["a path", "an abstract name"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Generator[Manager]:
    """A manager that listens at either kind of address that there is."""
    manager = Manager(f"{tmp_path}/notify" if request.param == "a path" else f"@stoker-test-{tmp_path.name}")
    yield manager
    manager.close()


def test_all_that_it_says(manager: Manager) -> None:
    """We expect the messages of sd_notify(3) one by one, and a status only when it is another one."""
    notifier = Notifier.from_environment({"NOTIFY_SOCKET": manager.address})
    notifier.ready()
    notifier.status("idle")
    notifier.status("idle")
    notifier.status("busy")
    notifier.alive()
    notifier.stopping()
    assert manager.heard() == ["READY=1", "STATUS=idle", "STATUS=busy", "WATCHDOG=1", "STOPPING=1"]
    notifier.reloading()
    (reloading,) = manager.heard()
    assert reloading.startswith("RELOADING=1\nMONOTONIC_USEC=")
    assert notifier.watchdog_s is None
    notifier.close()


@pytest.mark.parametrize(
    ("environment", "watchdog_s"),
    [
        ({"WATCHDOG_USEC": "2500000"}, 2.5),
        ({"WATCHDOG_USEC": "2500000", "WATCHDOG_PID": str(os.getpid())}, 2.5),
        ({"WATCHDOG_USEC": "2500000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_whether_it_is_watched(environment: dict[str, str], watchdog_s: float | None) -> None:
    """We expect to be watched where systemd says so to this very process."""
    assert Notifier.from_environment(environment).watchdog_s == watchdog_s


def test_nobody_listens(tmp_path: Path) -> None:
    """We expect silence without a manager, and no trouble with one that is gone or never reads."""
    alone = Notifier.from_environment({})
    alone.ready()
    assert not alone.is_heard
    gone = Notifier(f"{tmp_path}/gone")
    gone.ready()
    gone.close()
    deaf = Manager(f"{tmp_path}/deaf")
    notifier = Notifier(deaf.address)
    for number in range(10_000):
        notifier.status(f"{number}")
    notifier.close()
    deaf.close()


def test_it_is_fed_while_all_is_well(manager: Manager) -> None:
    """We expect food with every look that finds nothing, none while something hangs, and food again afterwards."""
    conditions = [Condition("idle"), Condition("", ["a commit has taken 31 s so far"]), Condition("idle")]
    notifier = Notifier(manager.address, watchdog_s=60)

    async def look() -> Condition:
        return conditions.pop(0)

    async def beats() -> list[list[str]]:
        pulse = Pulse(notifier, look)
        heard: list[list[str]] = []
        while conditions:
            await pulse.beat()
            heard.append(manager.heard())
        return heard

    well, ill, well_again = asyncio.run(beats())
    assert well == ["STATUS=idle", "WATCHDOG=1"]
    assert ill == ["STATUS=hangs: a commit has taken 31 s so far"]
    assert well_again == ["STATUS=idle", "WATCHDOG=1"]
    notifier.close()


def test_store_that_does_not_answer(manager: Manager) -> None:
    """We expect no food from a look that never ends, but food where the store answers that its disk is in trouble."""
    notifier = Notifier(manager.address, watchdog_s=0.03)

    async def never() -> Condition:
        await asyncio.Event().wait()
        raise AssertionError

    async def refuse() -> Condition:
        raise Refused(ErrorCode.STORAGE_UNAVAILABLE, "disk full")

    asyncio.run(Pulse(notifier, never).beat())
    assert manager.heard() == ["STATUS=hangs: the store does not answer"]
    asyncio.run(Pulse(notifier, refuse).beat())
    assert manager.heard() == ["STATUS=the store can't be read: disk full", "WATCHDOG=1"]
    notifier.close()


@pytest.mark.parametrize(
    ("queue", "lanes", "line"),
    [
        (Queue(0, 0, 0), [Lane("gpu", "idle")], "idle"),
        (Queue(3, 2, 1), [Lane("gpu", "running", model="sdxl")], "3 items wait, 2 run; gpu running sdxl"),
        (Queue(1, 0, 1, Pause("lunch", "ann", 1)), [], "1 items wait, 0 run; paused by ann: lunch"),
        (
            Queue(0, 1, 1),
            [Lane("gpu", "running", held_up="disk full")],
            "0 items wait, 1 run; gpu is held up: disk full",
        ),
    ],
)
def test_line_of_status(queue: Queue, lanes: list[Lane], line: str) -> None:
    """We expect one line that says what waits, what runs, and what is in the way."""
    assert status_line(queue, lanes) == line
