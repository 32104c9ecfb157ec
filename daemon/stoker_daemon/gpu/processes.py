"""What the processes are that use a GPU: their names, and where they listen."""

import os
import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from typing import NamedTuple

import psutil

FRESH_S = 30.0
"""A process may begin to listen long after it took memory: so often is it looked at anew."""
MAX_PARENTS = 3
"""A server may compute in children of its own, as Ollama does."""


class Facts(NamedTuple):
    """What is known of a process; little where it is another user's. `is_ours`: this one, or started by it."""

    name: str
    ports: list[int]
    is_ours: bool
    looked_s: float


class Processes:
    """Remembers what was found out: names take a moment each."""

    def __init__(self) -> None:
        self._facts: dict[int, Facts] = {}

    def facts(self, pid: int) -> Facts:
        """What a process is called (of an interpreter also what it runs), and the TCP ports that it listens on."""
        known = self._facts.get(pid)
        if known is None or time.monotonic() - known.looked_s > FRESH_S:
            self._facts[pid] = known = _look(pid)
        return known

    def forget_all_but(self, pids: Collection[int]) -> None:
        """Those of processes that are gone: their numbers will be given to others."""
        self._facts = {pid: facts for pid, facts in self._facts.items() if pid in pids}


def _look(pid: int) -> Facts:
    name, ports, is_ours = "", set[int](), False
    with suppress(psutil.Error):
        process = psutil.Process(pid)
        name = _name(process)
        family = [process, *process.parents()[:MAX_PARENTS]]
        is_ours = any(one.pid == os.getpid() for one in family)
        for one in family:
            ports.update(_ports(one))
    return Facts(name, sorted(ports), is_ours, time.monotonic())


def _name(process: psutil.Process) -> str:
    name, words = process.name(), []
    with suppress(psutil.Error):
        words = process.cmdline()
    return f"{name} {_script(words[1:]) if name.startswith('python') else ''}"[:80].strip()


def _script(words: list[str]) -> str:
    """What an interpreter that was started so runs."""
    left = iter(words)
    for word in left:
        if word in ("-X", "-W"):
            next(left, "")
        elif word == "-m":
            return next(left, "")
        elif not word.startswith("-"):
            return word
    return ""


def _ports(process: psutil.Process) -> Iterator[int]:
    if process.pid <= 1:  # what it listens on is not for one service
        return
    with suppress(psutil.Error):
        for connection in process.net_connections(kind="tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr:
                yield connection.laddr.port
