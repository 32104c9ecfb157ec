"""A card that several processes fill: each says what it holds, and the stand-in for the driver shows it."""

import fcntl
import json
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

GB = 1 << 30
RESERVED = GB // 2
"""What the driver keeps of a card."""

Held = dict[str, dict[str, int]]
"""Bytes by process id and by what is held."""


class Full(Exception):
    """There is no room on the card."""


class SharedCard:
    """GPU 0 of the machine whose driver answers from the file at `path`; `state` beside it says who holds what."""

    def __init__(self, path: str | Path) -> None:
        self._nvml = Path(path)
        self._state = self._nvml.with_name("card.json")

    def put(self, what: str, size: int, pid: int | None = None) -> None:
        """Take memory for a process, this one by default. Raises Full."""
        with self._changing() as (held, facts):
            mine = held.setdefault(str(pid or os.getpid()), {})
            left = self._total() - RESERVED - sum(_all(held))
            if size > left:
                facts["refused"] = [*facts["refused"], what]
                raise Full(f"{what} needs {size / GB:.1f} GB, and {left / GB:.1f} GB are free")
            mine[what] = mine.get(what, 0) + size
            facts["loads"] = [*facts["loads"], what]
            facts["peak"] = max(facts["peak"], sum(_all(held)))

    def take(self, what: str | None = None, pid: int | None = None) -> None:
        """Give it back, all that a process holds by default."""
        with self._changing() as (held, _):
            mine = held.get(str(pid or os.getpid()), {})
            for name in [each for each in mine if what in (None, each)]:
                del mine[name]

    def settle(self) -> None:
        """Let the driver see at once that those who ended hold nothing any more."""
        with self._changing():
            pass

    def held(self, pid: int | None = None) -> dict[str, int]:
        """What a process holds."""
        return self._read()["held"].get(str(pid or os.getpid()), {})

    @property
    def free(self) -> int:
        return self._total() - RESERVED - sum(_all(self._read()["held"]))

    @property
    def total(self) -> int:
        return self._total()

    @property
    def facts(self) -> dict[str, Any]:
        """`peak`: the most bytes that were held at a time; `refused`: what found no room; `loads`: what found it."""
        return self._read()

    @contextmanager
    def _changing(self) -> Generator[tuple[Held, dict[str, Any]]]:
        with self._nvml.with_name("card.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            facts = self._read()
            held: Held = {pid: mine for pid, mine in facts["held"].items() if _lives(int(pid))}
            try:
                yield held, facts
            finally:
                facts["held"] = {pid: mine for pid, mine in held.items() if mine}
                _replace(self._state, json.dumps(facts))
                self._show(facts["held"])

    def _read(self) -> dict[str, Any]:
        if not self._state.exists():
            return {"held": {}, "peak": 0, "refused": [], "loads": []}
        return json.loads(self._state.read_text())

    def _total(self) -> int:
        return int(self._lines()["0.total"])

    def _lines(self) -> dict[str, str]:
        return dict(line.split("=", 1) for line in self._nvml.read_text().splitlines())

    def _show(self, held: Held) -> None:
        processes = ",".join(f"{pid}:{sum(mine.values())}" for pid, mine in held.items())
        lines = self._lines() | {"0.used": str(RESERVED + sum(_all(held))), "0.compute": processes}
        _replace(self._nvml, "".join(f"{key}={value}\n" for key, value in lines.items()))


def _all(held: Held) -> list[int]:
    return [size for mine in held.values() for size in mine.values()]


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _replace(path: Path, text: str) -> None:
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    fresh.write_text(text)
    fresh.replace(path)
