"""A program that runs one command and kills all that came of it: at its end, when told to, or when the daemon dies."""

import ctypes
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

TERMINATE = b"t"
"""What the daemon says to have the command asked to end; when it closes the connection, everything is killed."""
NOT_STARTED = "not started: "
"""How the guard's last words begin if there was nothing to guard; else they are the exit code, or minus a signal."""
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
"""Source: prctl(2)."""
_PARENT = 1
"""Where it is among the fields of /proc/PID/stat that follow the command name; source: proc(5)."""


def main(cwd: str, *argv: str) -> None:
    """Run a command in a folder; standard input is the connection with the daemon."""
    daemon = socket.socket(fileno=os.dup(0))
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1)  # whoever leaves the command's process group stays a child of this one
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, _stay)
    guard = os.getpid()

    def tie_to_guard() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != guard:
            os._exit(1)

    try:
        command = subprocess.Popen(  # noqa: S603  only what the configuration allows, and no shell
            argv, cwd=cwd, stdin=subprocess.DEVNULL, process_group=0, preexec_fn=tie_to_guard
        )
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        _say(daemon, f"{NOT_STARTED}{error}")
        return
    _let_go_of_output()
    code = _watch(command, daemon)
    _end_descendants()
    _say(daemon, str(code))


def _watch(command: "subprocess.Popen[bytes]", daemon: socket.socket) -> int:
    """Wait for the command's end, by itself or not; its exit code, or the signal's number below zero."""
    pidfd = os.pidfd_open(command.pid)
    while True:
        ready, _, _ = select.select([pidfd, daemon], [], [])
        if pidfd in ready:
            return command.wait()
        if not _hear(daemon):
            command.kill()
            return command.wait()
        os.killpg(command.pid, signal.SIGTERM)


def _end_descendants() -> None:
    """Kill what the command left behind; the children of those killed become ours, until there are none."""
    while True:
        try:
            ended, _ = os.waitpid(-1, os.WNOHANG)
            if not ended:
                for pid in _children():
                    os.kill(pid, signal.SIGKILL)
                os.waitpid(-1, 0)
        except ChildProcessError:
            return


def _children() -> Iterator[int]:
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            fields = (entry / "stat").read_bytes().rpartition(b")")[2].split()
        except OSError:
            continue
        if int(fields[_PARENT]) == os.getpid():
            yield int(entry.name)


def _let_go_of_output() -> None:
    """Close the command's pipes here, so that they end with those who write to them."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(nothing, fd)


def _stay(_number: int, _frame: object) -> None:
    """Who wants an end of it all tells the daemon. Unlike an ignored signal this is nothing that a command inherits."""


def _hear(daemon: socket.socket) -> bytes:
    try:
        return daemon.recv(1)
    except OSError:
        return b""


def _say(daemon: socket.socket, words: str) -> None:
    with suppress(OSError):  # the daemon may be dead
        daemon.sendall(words.encode(errors="replace"))


if __name__ == "__main__":
    main(*sys.argv[1:])
