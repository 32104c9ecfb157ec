"""One worker process: starts it, speaks with it without ever waiting to be read, and knows how it ended."""

import asyncio
import os
import signal
import socket
import subprocess
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress

from stoker_daemon.engines.python.death import Death, kills_for_memory
from stoker_protocol.codec import FrameBuffer, decode_say, frame
from stoker_protocol.errors import FailureKind
from stoker_protocol.worker import AnyCommand, AnySay

_CHUNK = 256 << 10
_READ_AHEAD = 1 << 20
_EXIT_S = 1.0
"""A worker that closed its connection is on its way out and may take this long."""
_KILL_S = 10.0
"""The kernel ends a killed process at once, unless it is stuck in a driver."""
_STDERR = 2


class WorkerDied(Exception):
    """The worker's process has ended, or had to be; the text says how, and `kind` what that means for its run."""

    def __init__(self, message: str, kind: FailureKind = FailureKind.CRASH) -> None:
        super().__init__(message)
        self.kind = kind


class Worker:
    """A worker process, the leader of a process group of its own."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        connection: socket.socket,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        memory_limit_bytes: int,
    ) -> None:
        self.pid = process.pid
        self._process = process
        self._connection = connection
        self._reader = reader
        self._writer = writer
        self._frames = FrameBuffer()
        self._heard: deque[AnySay] = deque()
        self._garbage = ""
        self._told_to_end = False
        self._memory_limit_bytes = memory_limit_bytes
        self._kills_before = kills_for_memory()
        self._death: Death | None = None
        self._exited = asyncio.Event()
        self._pidfd = os.pidfd_open(process.pid)
        asyncio.get_running_loop().add_reader(self._pidfd, self._on_exit)

    @classmethod
    async def spawn(
        cls, command: Sequence[str], environment: Mapping[str, str], memory_limit_bytes: int = 0
    ) -> "Worker":
        """Start `command --fd N`, which bounds its own memory if it is told to. Raises OSError."""
        ours, theirs = socket.socketpair()
        with theirs:
            reader, writer = await asyncio.open_connection(sock=ours, limit=_READ_AHEAD)
            try:
                # From here on no await: a cancellation would leave a process that nobody knows.
                process = _start(command, environment, theirs.fileno())
                return cls(process, ours, reader, writer, memory_limit_bytes)
            except OSError:
                writer.transport.abort()
                raise

    @property
    def is_sound(self) -> bool:
        """It lives, listens, and was not told to end."""
        is_gone = self._exited.is_set() or self._reader.at_eof() or self._writer.is_closing()
        return not (is_gone or self._told_to_end)

    @property
    def epitaph(self) -> str:
        """How it ended."""
        if self._death is None:
            return f"the worker (process {self.pid}) has not ended yet; if it never does, it is stuck in a driver"
        return str(self._death)

    def tell(self, command: AnyCommand) -> None:
        """Send a command. What a stopped worker does not read waits here, and nobody waits for it."""
        self._writer.write(frame(command))

    async def hear(self) -> AnySay:
        """What it says next; ends with its life and has no other bound.

        Raises:
            WorkerDied: It is gone, or said what nobody understands and was ended for that.
        """
        while not self._heard:
            if self._garbage:
                await self.end(grace_s=0)
                raise WorkerDied(f"the worker said what is no message ({self._garbage}) and was ended")
            data = await self._read()
            if not data:
                raise await self._last_words()
            self._take(data)
        return self._heard.popleft()

    def terminate(self) -> None:
        """Ask the whole group to end."""
        self._signal(signal.SIGTERM)

    async def end(self, grace_s: float) -> bool:
        """Close the connection, which ends a sound worker, and kill what stays for `grace_s`; whether it is gone."""
        self._told_to_end = True
        self._writer.transport.abort()
        if grace_s > 0 and await self._exits_within(grace_s):
            return True
        self._signal(signal.SIGKILL)
        return await self._exits_within(_KILL_S)

    async def _read(self) -> bytes:
        try:
            return await self._reader.read(_CHUNK)
        except ConnectionError:
            return b""

    def _take(self, data: bytes) -> None:
        try:
            self._heard.extend(map(decode_say, self._frames.feed(data)))
        except (ValueError, RecursionError) as error:
            self._garbage = str(error)

    async def _last_words(self) -> WorkerDied:
        """How it ended, once its connection is closed."""
        if not await self._exits_within(_EXIT_S):
            await self.end(grace_s=0)
        return WorkerDied(self.epitaph, self._death.kind if self._death else FailureKind.CRASH)

    def _signal(self, number: signal.Signals) -> None:
        if self._death is None:
            self._told_to_end = True
            os.killpg(self.pid, number)

    async def _exits_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                return await self._exited.wait()
        except TimeoutError:
            return False

    def _on_exit(self) -> None:
        asyncio.get_running_loop().remove_reader(self._pidfd)
        os.close(self._pidfd)
        # Until it is reaped its number can't mean another group. What it started goes with it.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._death = Death.of(
            self.pid,
            told_to_end=self._told_to_end,
            kills_before=self._kills_before,
            limit_bytes=self._memory_limit_bytes,
        )
        self._process.returncode = self._death.code
        # A process that it started may hold its end open; what was said before can still be heard.
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_RD)
        self._exited.set()


def _start(command: Sequence[str], environment: Mapping[str, str], fd: int) -> "subprocess.Popen[bytes]":
    """On the loop's own thread: the kernel ends a worker when the *thread* that started it ends."""
    return subprocess.Popen(  # noqa: S603  the operator's own choice of interpreter and model class
        [*command, "--fd", str(fd)],
        env=environment,
        pass_fds=[fd],
        stdin=subprocess.DEVNULL,
        stdout=_STDERR,
        start_new_session=True,
    )
