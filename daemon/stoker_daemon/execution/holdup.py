"""Waits out trouble with the disk: what can't be stored now is kept and tried again, and people are told why."""

import asyncio
import errno
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from stoker_daemon.execution.waiting import wait_at_most
from stoker_protocol.errors import ErrorCode, Refused

RETRY_S = 1.0
"""Between two tries to store something."""
DISK_ERRORS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM})
"""What is wrong with the host and not with one file: it passes when somebody makes room or mends the disk."""
ADVICE = {
    errno.ENOSPC: "make room, for instance with `stoker outputs clean --older-than 30d`",
    errno.EDQUOT: "raise the quota or make room, for instance with `stoker outputs clean --older-than 30d`",
    errno.EROFS: "see the kernel's log (dmesg) for why, then mount it for writing again",
    errno.EIO: "the disk fails: see the kernel's log (dmesg)",
    errno.EMFILE: "raise LimitNOFILE of the service (systemctl edit stokerd), or `ulimit -n` before the start",
    errno.ENFILE: "the whole host has too many files open: sysctl fs.file-max",
    errno.ENOMEM: "memory has run out: see `stoker doctor`, part memory limit",
}

T = TypeVar("T")

log = structlog.get_logger()


class Holdup:
    """What a lane waits for before it can store what it has; `told` is called when that begins and ends."""

    def __init__(self, lane: str, told: Callable[[], None]) -> None:
        self.reason = ""
        """In the disk's own words, from the first that fails until all is stored; else empty."""
        self._lane = lane
        self._told = told
        self._waiting = 0

    async def outlast(self, store: Callable[[], Awaitable[T]], given_up: asyncio.Event) -> T:
        """Do it until the disk takes it, or until it is given up.

        Raises:
            OSError, Refused: What was still wrong when it was given up; at once what is not the disk's fault.
        """
        is_waiting = False
        try:
            while True:
                try:
                    return await store()
                except (OSError, Refused) as error:
                    if not is_of_the_disk(error) or given_up.is_set():
                        raise
                    if not is_waiting:
                        is_waiting = True
                        self._begin(explain(error))
                await wait_at_most(given_up, RETRY_S)
        finally:
            if is_waiting:
                self._end()

    def _begin(self, reason: str) -> None:
        self._waiting += 1
        if not self.reason:
            self.reason = reason
            log.warning("held up by the disk", lane=self._lane, why=reason)
            self._told()

    def _end(self) -> None:
        self._waiting -= 1
        if not self._waiting:
            self.reason = ""
            log.info("no longer held up by the disk", lane=self._lane)
            self._told()


def explain(error: BaseException) -> str:
    """What the disk or the host does not give, and what to do; the system's own text begins with a number."""
    if not isinstance(error, OSError) or not error.strerror:
        return str(error)
    where = f"{error.filename}: " if error.filename else ""
    advice = ADVICE.get(error.errno or 0, "")
    return f"{where}{error.strerror}" + (f"; {advice}" if advice else "")


def is_of_the_disk(error: BaseException) -> bool:
    """Whether the disk is to blame, so that the same may go well later."""
    if isinstance(error, Refused):
        return error.code in (ErrorCode.STORAGE_UNAVAILABLE, ErrorCode.INTERNAL)
    return isinstance(error, OSError) and error.errno in DISK_ERRORS
