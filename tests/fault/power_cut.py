"""What a power cut leaves of a failing disk's files: no more than what was synced until then, by the disk's trace."""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

PAGE = 4096


class _Event(NamedTuple):
    what: str
    path: PurePosixPath
    at: int
    data: bytes


class _File:
    """Bytes as programs see them and as they are on the disk."""

    def __init__(self) -> None:
        self.on_disk = bytearray()
        self._seen = bytearray()
        self._dirty: set[int] = set()

    def write(self, at: int, data: bytes) -> None:
        self._resize(self._seen, max(len(self._seen), at + len(data)))
        self._seen[at : at + len(data)] = data
        self._dirty.update(range(at // PAGE, (at + len(data) + PAGE - 1) // PAGE))

    def truncate(self, size: int) -> None:
        self._resize(self._seen, size)

    def lose(self) -> None:
        """A sync failed: what it had to write is taken for written."""
        self._dirty.clear()

    def sync(self) -> None:
        self._resize(self.on_disk, len(self._seen))
        for page in self._dirty:
            self.on_disk[page * PAGE : (page + 1) * PAGE] = self._seen[page * PAGE : (page + 1) * PAGE]
        self._dirty.clear()

    @staticmethod
    def _resize(content: bytearray, size: int) -> None:
        del content[size:]
        content.extend(bytes(size - len(content)))


Names = dict[PurePosixPath, _File | None]
"""Files, and None for folders."""


class PowerCut:
    """Follows a trace; `leave` writes what there would be had the power been cut there."""

    def __init__(self, root: Path, trace: Path) -> None:
        self._root = PurePosixPath(root)
        self._events = _read(trace.read_bytes())
        self._next: tuple[int, _Event | None] = next(self._events, (0, None))
        self._seen: Names = {self._root: None}
        self._on_disk: Names = {self._root: None}

    def leave(self, at: int, target: Path) -> None:
        """Go on to where the trace had so many bytes, never back, and write what is on the disk then."""
        while self._next[1] is not None and self._next[0] <= at:
            self._follow(self._next[1])
            self._next = next(self._events, (0, None))
        for path, file in sorted(self._on_disk.items()):
            copy = target / path.relative_to(self._root)
            if file is None and copy.parent.exists():
                copy.mkdir(exist_ok=True)
            elif file is not None and copy.parent.exists():
                copy.write_bytes(file.on_disk)

    def _follow(self, event: _Event) -> None:
        path, file = event.path, self._seen.get(event.path)
        match event.what:
            case "mkdir":
                self._seen[path] = None
            case "create":
                self._seen[path] = _File()
            case "rename":
                self._seen[PurePosixPath(event.data.decode())] = self._seen.pop(path)
            case "unlink":
                self._seen.pop(path, None)
            case "sync" if path in self._seen and file is None:
                kept = {name: node for name, node in self._on_disk.items() if name.parent != path}
                self._on_disk = kept | {name: node for name, node in self._seen.items() if name.parent == path}
            case _ if file is not None:
                _follow_in(file, event)
            case _:
                pass  # a file that was there before, such as the daemon's log


def _follow_in(file: _File, event: _Event) -> None:
    match event.what:
        case "write":
            file.write(event.at, event.data)
        case "truncate":
            file.truncate(event.at)
        case "sync":
            file.sync()
        case "lost":
            file.lose()
        case _:
            raise AssertionError(event.what)


def _read(trace: bytes) -> Iterator[tuple[int, _Event]]:
    """Each event with how many bytes the trace has up to its end."""
    at = 0
    while at < len(trace):
        line_end = trace.index(b"\n", at)
        what, path, place, size = trace[at:line_end].decode().split("\t")
        at = line_end + 1 + int(size)
        yield at, _Event(what, PurePosixPath(path), int(place), trace[line_end + 1 : at])
