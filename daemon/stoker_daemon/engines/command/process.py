"""One command under its guard: starts both, takes what the command writes, and knows how it ended."""

import asyncio
import asyncio.subprocess
import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from stoker_daemon.engines.command import guard
from stoker_daemon.engines.leftover import OWNER, end_orphans, forget, remember

_CHUNK = 256 << 10
_EXIT_S = 1.0
"""A guard that is to kill needs less than this."""
_READ_S = 10.0
"""What was written last is here at once, unless the daemon has no time to read it."""


class Capture:
    """The beginning and the end of what a command writes, `most` bytes in all."""

    def __init__(self, most: int) -> None:
        self._half = most // 2
        self._head = bytearray()
        self._tail = bytearray()
        self.left_out = 0

    def take(self, data: bytes) -> None:
        """Keep what there is room for."""
        room = self._half - len(self._head)
        self._head += data[:room]
        self._tail += data[room:]
        excess = max(0, len(self._tail) - self._half)
        del self._tail[:excess]
        self.left_out += excess

    @property
    def data(self) -> bytes:
        """What was kept, with a line where something is left out."""
        gap = f"\n[{self.left_out} bytes are left out here]\n".encode() if self.left_out else b""
        return bytes(self._head + gap + self._tail)


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended: its exit code, a signal's number below zero, or with `trouble` before it began."""

    code: int
    trouble: str
    stdout: Capture
    stderr: Capture


class Process:
    """A command at work, with a guard that kills all that came of it when this connection ends or the daemon dies."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        connection: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        pid_file: Path,
        most: int,
    ) -> None:
        self._process = process
        self._reader, self._writer = connection
        self._pid_file = pid_file
        self._streams = [Capture(most), Capture(most)]
        self._following = asyncio.create_task(self._follow(), name=f"command {process.pid}")

    @classmethod
    async def start(
        cls, argv: Sequence[str], cwd: str, environment: Mapping[str, str], pid_file: Path, most: int
    ) -> "Process":
        """Start a command that keeps `most` bytes of each stream. Raises OSError: not even the guard could start."""
        ours, theirs = socket.socketpair()
        with theirs:
            connection = await asyncio.open_connection(sock=ours)
            try:
                process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-I", "-S", guard.__file__, cwd, *argv),
                    stdin=theirs.fileno(),
                    stdout=asyncio.subprocess.PIPE,
                    stderr=asyncio.subprocess.PIPE,
                    start_new_session=True,
                    env={**environment, OWNER: str(pid_file)},
                )
                remember(pid_file, process.pid)
            except BaseException:
                connection[1].transport.abort()  # ends the guard if there is one
                raise
        return cls(process, connection, pid_file, most)

    async def ended(self) -> Ended:
        """Wait for its end, which has no bound."""
        return await asyncio.shield(self._following)

    def terminate(self) -> None:
        """Ask the command and its process group to end."""
        if not self._following.done():
            self._writer.write(guard.TERMINATE)

    def kill(self) -> None:
        """Kill it with all that came of it."""
        self._writer.transport.abort()

    async def gone(self, bound_s: float) -> None:
        """Wait until it has ended, but not for ever: the kernel may hold it in a driver."""
        await asyncio.wait({self._following}, timeout=bound_s)

    async def _follow(self) -> Ended:
        assert self._process.stdout
        assert self._process.stderr
        pipes = zip((self._process.stdout, self._process.stderr), self._streams, strict=True)
        tasks = [asyncio.create_task(self._exit())]
        tasks += [asyncio.create_task(_drain(pipe, stream)) for pipe, stream in pipes]
        try:
            words = await _all_of(self._reader)
            if not words:  # it was killed here, or somebody killed the guard
                await asyncio.wait(tasks, timeout=_EXIT_S)
                await asyncio.to_thread(end_orphans, self._pid_file)
            await asyncio.wait(tasks, timeout=_READ_S)
            if tasks[0].done():
                forget(self._pid_file)
            return self._ended(words)
        finally:
            for task in tasks:
                task.cancel()
            self._writer.transport.abort()

    async def _exit(self) -> None:
        await self._process.wait()

    def _ended(self, words: str) -> Ended:
        stdout, stderr = self._streams
        if words.startswith(guard.NOT_STARTED):
            return Ended(0, words, stdout, stderr)
        return Ended(int(words or -9), "", stdout, stderr)


async def _drain(pipe: asyncio.StreamReader, stream: Capture) -> None:
    while data := await pipe.read(_CHUNK):
        stream.take(data)


async def _all_of(reader: asyncio.StreamReader) -> str:
    """All that the guard says; nothing if the connection was ended here."""
    try:
        return (await reader.read()).decode()
    except ConnectionError:
        return ""
