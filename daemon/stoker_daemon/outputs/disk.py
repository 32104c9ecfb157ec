"""Durable files below the data folder; no symbolic link in the tree is followed, whoever put it there."""

import errno
import os
import stat
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath

from stoker_daemon.outputs.layout import temporary_name

_MAX_REMEMBERED = 4096
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
# Without O_NONBLOCK a pipe in place of a file would hold up whoever opens it.
_OLD_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NOT_EMPTY_OR_NONE = frozenset({errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT, errno.ENOTDIR, errno.ELOOP})


class Disk:
    """The files below one data folder. Paths are relative to it; every OSError names the whole path.

    All methods block. `read` is for any thread, the others are for one.
    """

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._durable_folders: set[PurePosixPath] = set()

    def stage(self, path: PurePosixPath, data: bytes) -> None:
        """Write a file under its temporary name, its bytes on disk for good; if that fails, nothing is left of it."""
        name = temporary_name(path.name)
        with self._naming(path), self._folder(path.parent, make=True) as folder:
            _remove(name, folder)
            try:
                with os.fdopen(os.open(name, _NEW_FILE, 0o666, dir_fd=folder), "wb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
            except OSError:
                _remove(name, folder)
                raise

    def publish(self, path: PurePosixPath) -> None:
        """Give a staged file its name, in place of the file that had it; durable once its folder is synced."""
        with self._naming(path), self._folder(path.parent) as folder:
            os.rename(temporary_name(path.name), path.name, src_dir_fd=folder, dst_dir_fd=folder)

    def sync(self, path: PurePosixPath) -> None:
        """Make the names in a folder durable."""
        with self._naming(path), self._folder(path) as folder:
            os.fsync(folder)

    def discard(self, path: PurePosixPath) -> None:
        """Remove a staged file, as far as that is possible."""
        with suppress(OSError), self._folder(path.parent) as folder:
            _remove(temporary_name(path.name), folder)

    def write(self, folder: PurePosixPath, files: Mapping[str, bytes]) -> None:
        """Put files on disk for good, in place of those that had their names; all are complete before the first is."""
        try:
            for name, data in files.items():
                self.stage(folder / name, data)
            for name in files:
                self.publish(folder / name)
            self.sync(folder)
        except OSError:
            for name in files:
                self.discard(folder / name)
            raise

    def read(self, path: PurePosixPath, offset: int, length: int) -> bytes:
        """Bytes of a file, fewer at its end. Raises FileNotFoundError also for what is no plain file."""
        with self._naming(path), self._folder(path.parent) as folder:
            file = os.open(path.name, _OLD_FILE, dir_fd=folder)
            try:
                if not stat.S_ISREG(os.fstat(file).st_mode):
                    raise FileNotFoundError(errno.ENOENT, "not a plain file")
                return os.pread(file, length, offset)
            finally:
                os.close(file)

    def remove(self, path: PurePosixPath, is_doomed: Callable[[str], bool], at_most: int | None = None) -> int:
        """Remove for good the files in a folder whose name is doomed; how many. No such folder: none."""
        try:
            with self._naming(path), self._folder(path) as folder:
                with os.scandir(folder) as entries:
                    files = [entry.name for entry in entries if not entry.is_dir(follow_symlinks=False)]
                doomed = [name for name in files if is_doomed(name)][:at_most]
                for name in doomed:
                    _remove(name, folder)
                if doomed:
                    os.fsync(folder)
                return len(doomed)
        except (FileNotFoundError, NotADirectoryError):
            return 0

    def remove_folder(self, path: PurePosixPath) -> None:
        """Remove a folder for good if there is one and it is empty."""
        try:
            with self._naming(path), self._folder(path.parent) as parent:
                os.rmdir(path.name, dir_fd=parent)
                os.fsync(parent)
        except OSError as error:
            if error.errno not in _NOT_EMPTY_OR_NONE:
                raise

    @contextmanager
    def _folder(self, path: PurePosixPath, *, make: bool = False) -> Generator[int]:
        """Open a folder part by part. The tree itself may lie behind a link, as on a larger disk; nothing in it may."""
        folder = os.open(self._data_dir, _FOLDER)
        try:
            for depth, part in enumerate(path.parts):
                if make:
                    self._make(PurePosixPath(*path.parts[: depth + 1]), folder)
                child = os.open(part, _FOLDER | (os.O_NOFOLLOW if depth else 0), dir_fd=folder)
                os.close(folder)
                folder = child
            yield folder
        finally:
            os.close(folder)

    def _make(self, path: PurePosixPath, parent: int) -> None:
        """Have a folder, and its entry in its parent durable: one that an earlier process made may not be so yet."""
        try:
            os.mkdir(path.name, dir_fd=parent)
        except FileExistsError:
            if path in self._durable_folders:
                return
        os.fsync(parent)
        if len(self._durable_folders) >= _MAX_REMEMBERED:
            self._durable_folders.clear()
        self._durable_folders.add(path)

    @contextmanager
    def _naming(self, path: PurePosixPath) -> Generator[None]:
        try:
            yield
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(self._data_dir / path)) from error


def _remove(name: str, folder: int) -> None:
    with suppress(FileNotFoundError):
        os.unlink(name, dir_fd=folder)
