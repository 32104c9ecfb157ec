"""Tells systemd how the daemon is: readiness, a line of status, and a watchdog that is fed only while all is well."""

import asyncio
import os
import socket
import time
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import structlog

from stoker_protocol.errors import Refused
from stoker_protocol.jobs import Lane, Queue

ROUND_S = 5.0
"""Between two looks, where the watchdog does not ask for more."""
FEEDS = 3
"""Looks within the time that the watchdog allows, so that one that comes late kills nobody."""

log = structlog.get_logger()


class Notifier:
    """Sends what sd_notify(3) describes to the socket that systemd names; without one it does nothing.

    Source: the protocol is stable and documented in sd_notify(3): lines of `KEY=VALUE` in one datagram.
    """

    def __init__(self, address: str = "", watchdog_s: float | None = None) -> None:
        self.watchdog_s = watchdog_s
        """Seconds after which systemd kills a daemon that has not been heard of; None: it doesn't watch."""
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) if address else None
        self._status = ""
        if self._socket is not None:
            self._socket.setblocking(False)

    @property
    def is_heard(self) -> bool:
        """Whether there is a manager that listens."""
        return self._socket is not None

    @classmethod
    def from_environment(cls, environment: MutableMapping[str, str]) -> "Notifier":
        """As systemd says, in variables that are taken away, so that no process which is started here speaks for us."""
        address = environment.pop("NOTIFY_SOCKET", "")
        watchdog_us = environment.pop("WATCHDOG_USEC", "")
        is_ours = environment.pop("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        watched = is_ours and watchdog_us.isdecimal() and int(watchdog_us) > 0
        return cls(address, int(watchdog_us) / 1e6 if watched else None)

    def ready(self) -> None:
        """All doors are open; also the end of a reload."""
        self._send("READY=1")

    def reloading(self) -> None:
        """The configuration is read again, until `ready`."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """A graceful stop has begun; systemd counts from here on."""
        self._send("STOPPING=1")

    def status(self, text: str) -> None:
        """One line for `systemctl status`, sent when it changes."""
        if text != self._status:
            self._status = text
            self._send(f"STATUS={text}")

    def alive(self) -> None:
        """Feed the watchdog."""
        self._send("WATCHDOG=1")

    def close(self) -> None:
        """Let the socket go."""
        if self._socket is not None:
            self._socket.close()

    def _send(self, lines: str) -> None:
        if self._socket is not None:
            with suppress(OSError):  # a manager that does not listen must not hold up the queue
                self._socket.sendto(lines.encode(), self._address)


@dataclass(frozen=True, slots=True)
class Condition:
    """How the daemon is: a line for people, and what hangs, nothing when all is well.

    What only waits, for a full disk or a server that is away, does not hang: a restart would not help it.
    """

    status: str
    ailments: Sequence[str] = ()


class Pulse:
    """One task that tells systemd what the daemon does, and feeds its watchdog while nothing hangs.

    A look that takes longer than the time until the next one tells of a store that hangs.
    """

    def __init__(self, notifier: Notifier, look: Callable[[], Awaitable[Condition]]) -> None:
        self._notifier = notifier
        self._look = look
        watchdog_s = notifier.watchdog_s
        self._round_s = ROUND_S if watchdog_s is None else min(ROUND_S, watchdog_s / FEEDS)

    async def serve(self) -> None:
        """Look, tell and feed until cancelled."""
        while True:
            await self.beat()
            await asyncio.sleep(self._round_s)

    async def beat(self) -> None:
        """Look once."""
        try:
            async with asyncio.timeout(self._round_s):
                condition = await self._look()
        except TimeoutError:
            condition = Condition("", ["the store does not answer"])
        except Refused as refused:
            condition = Condition(f"the store can't be read: {refused.message}")
        if condition.ailments:
            log.error("something hangs", what=condition.ailments, watchdog_s=self._notifier.watchdog_s)
            self._notifier.status(f"hangs: {'; '.join(condition.ailments)}")
            return
        self._notifier.status(condition.status)
        self._notifier.alive()


def status_line(queue: Queue, lanes: Sequence[Lane]) -> str:
    """What `systemctl status` shows: what waits, what each busy lane does, and what is in the way."""
    parts = [f"{queue.pending} items wait, {queue.running} run" if queue.pending or queue.running else "idle"]
    if queue.paused:
        parts.append(f"paused by {queue.paused.author}: {queue.paused.reason or 'no reason given'}")
    for lane in lanes:
        if lane.held_up:
            parts.append(f"{lane.name} is held up: {lane.held_up}")
        elif lane.state in ("loading", "running"):
            parts.append(" ".join(filter(None, (lane.name, lane.state, lane.model))))
    return "; ".join(parts)
