"""Has the host read the model files of the next wave while this one is at work: their load is then a copy in memory."""

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from threading import Event, Thread

import psutil
import structlog

from stoker_daemon.engines.hosts import is_here

STEP = 128 << 10
"""Bytes asked for at a time: of more the kernel reads no more than its read-ahead is set to, and forgets the rest."""
SHARE = 0.5
"""The part of the host's free memory that what is read ahead may take."""
FOLDERS: dict[str, tuple[str, ...]] = {
    "checkpoint": ("checkpoints",),
    "lora": ("loras",),
    "vae": ("vae",),
    "unet": ("diffusion_models", "unet"),
    "clip": ("text_encoders", "clip"),
    "controlnet": ("controlnet",),
    "upscaler": ("upscale_models",),
}
"""Kinds of model files, and what a server calls the folders of each."""

Advise = Callable[[int, int, int], None]

log = structlog.get_logger()


class Ahead:
    """For one server. Its folders are `models_dir`, or those that it names if it is on this host.

    A disk that does not answer holds up one thread, and nobody waits for that: it ends with the process.
    """

    def __init__(self, url: str, models_dir: Path | None, *, is_on: bool, advise: Advise | None = None) -> None:
        """`advise` has the kernel read so many bytes of an open file from there on, and does not wait for them."""
        self._folders: dict[str, tuple[Path, ...]] = {}
        if models_dir is not None:
            self._folders = {kind: tuple(models_dir / name for name in names) for kind, names in FOLDERS.items()}
        self.wants_folders = is_on and models_dir is None and is_here(url)
        """Whether the server is to be asked where its models are."""
        self._is_on = is_on and hasattr(os, "posix_fadvise")
        self._advise = advise or _will_need
        self._thread: Thread | None = None
        self._stopping = Event()
        self._last: list[list[Path]] = []

    def learn(self, folders: Mapping[str, Sequence[str]]) -> None:
        """Take where the server says that its models are."""
        self._folders = {
            kind: tuple(Path(folder) for name in names for folder in folders.get(name, ()))
            for kind, names in FOLDERS.items()
        }

    def read(self, files: Iterable[tuple[str, str]]) -> None:
        """Begin with these files, each by kind and name, unless others are still being read; returns at once.

        Those that were read last are not read again: they are there, or memory is wanted for something else.
        """
        paths = [[folder / name for folder in self._folders.get(kind, ())] for kind, name in files if _is_inside(name)]
        is_at_work = self._thread is not None and self._thread.is_alive()
        if not self._is_on or not any(paths) or is_at_work or paths == self._last:
            return
        self._last = paths
        self._stopping.clear()
        self._thread = Thread(target=self._read, args=(paths,), name="read ahead", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Read nothing more."""
        self._stopping.set()

    def _read(self, paths: Sequence[Sequence[Path]]) -> None:
        room = int(SHARE * psutil.virtual_memory().available)
        for candidates in paths:
            for path in candidates:
                if (size := self._read_one(path, room)) is not None:
                    room -= size
                    break

    def _read_one(self, path: Path, room: int) -> int | None:
        """The bytes that were asked for; None: there is no such file."""
        began_s = time.monotonic()
        try:
            with path.open("rb") as file:
                size = os.fstat(file.fileno()).st_size
                if size > room:
                    log.info("a model is too large to be read ahead", file=str(path), bytes=size, room=room)
                    return 0
                for at in range(0, size, STEP):
                    if self._stopping.is_set():
                        return at
                    self._advise(file.fileno(), at, min(STEP, size - at))
        except OSError:
            return None
        log.info("reads ahead", file=str(path), bytes=size, seconds=round(time.monotonic() - began_s, 3))
        return size


def _will_need(file: int, at: int, size: int) -> None:
    os.posix_fadvise(file, at, size, os.POSIX_FADV_WILLNEED)


def _is_inside(name: str) -> bool:
    """Whether a name stays within the folder that it is of."""
    path = PurePosixPath(name)
    return bool(name) and not path.is_absolute() and ".." not in path.parts
