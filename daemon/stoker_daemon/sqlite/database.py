"""The database file: one owner, the right settings, and errors that say what to do."""

import fcntl
import os
import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import IO

from stoker_protocol.errors import ErrorCode, Refused

FILE_NAME = "stoker.sqlite3"
LOCK_NAME = "stokerd.lock"
APPLICATION_ID = 0x53544B52
"""`STKR`: what `file` and we ourselves recognise the database by."""

RETRY_AFTER_S = 5.0
"""When a client that was refused for the disk may ask again."""
_LOG_CHUNK = 1 << 20
_PASSING = frozenset(
    {
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_NOMEM,
    }
)
"""Errors of the disk or the host, which end when somebody mends that."""


class StoreError(Exception):
    """The database can't be used; the message names the file and what to do."""


class Lock:
    """Makes sure that one daemon owns a data directory; held until `release` or the end of the process."""

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / LOCK_NAME
        self._file: IO[str] | None = None

    def take(self) -> None:
        """Take the lock.

        Raises:
            StoreError: Another daemon has it.
        """
        file = self._path.open("a+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            owner = file.read().strip() or "unknown"
            file.close()
            raise StoreError(
                f"{self._path}: another stokerd (pid {owner}) uses this data directory; stop it, or choose another"
                " directory with --data-dir"
            ) from None
        with suppress(OSError):  # the pid is for people; a full disk shall be told of where it matters
            os.ftruncate(file.fileno(), 0)
            os.write(file.fileno(), str(os.getpid()).encode())
        self._file = file

    def release(self) -> None:
        """Let the next daemon have it."""
        if self._file is not None:
            self._file.close()
            self._file = None


def connect(path: Path, *, query_only: bool = False) -> sqlite3.Connection:
    """A connection in autocommit mode: transactions are begun and ended by name.

    WAL with `synchronous=FULL`: a commit has returned only when the log is on disk.
    """
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=30, cached_statements=256)
    settings = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "temp_store=MEMORY")
    try:
        for setting in (*settings, f"query_only={int(query_only)}"):
            connection.execute(f"PRAGMA {setting}")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def rewrite_log(path: Path) -> None:
    """Have the database's log on disk as it is read; called before a new daemon opens the database.

    Where a sync failed under an earlier daemon, bytes are read that are not on disk, and the kernel takes them for
    written. What is committed behind such a hole would be lost with the power.

    Raises:
        StoreError: The disk doesn't take it.
    """
    try:
        with Path(f"{path}-wal").open("r+b", buffering=0) as log:
            while chunk := log.read(_LOG_CHUNK):
                log.seek(-len(chunk), os.SEEK_CUR)
                log.write(chunk)
            os.fsync(log)
    except FileNotFoundError:
        return
    except OSError as error:
        raise StoreError(f"{path}-wal: can't be written again ({error.strerror}); see that its disk is well") from None


def refusal(path: Path, error: sqlite3.Error) -> Refused:
    """The same for a client: what may pass by itself, or a fault."""
    primary = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    if primary not in _PASSING:
        return Refused(ErrorCode.INTERNAL, f"the database failed: {explain(path, error)}")
    hint = "submit again later; what was accepted is safe, and work goes on by itself when the disk is well again"
    return Refused(ErrorCode.STORAGE_UNAVAILABLE, explain(path, error), hint=hint, retry_after_s=RETRY_AFTER_S)


def explain(path: Path, error: sqlite3.Error) -> str:
    """What a database error means to a person, and what to do."""
    text = str(error)
    if "not a database" in text or "malformed" in text:  # so SQLite says also when the disk can't read a part of it
        return (
            f"{path}: the database is damaged ({text}); see the kernel's log (dmesg): if the disk is well, move this"
            " file and those beginning with its name away and restore a backup, or start with an empty directory"
        )
    if "readonly" in text or "unable to open" in text:
        return f"{path}: the database can't be written ({text}); check owner and permissions of the directory"
    if "full" in text:
        return f"{path}: the disk is full ({text}); free some space"
    if "disk I/O" in text:
        return f"{path}: the disk failed ({text}); see the kernel's log (dmesg)"
    return f"{path}: {text}"


def refuse_strangers(connection: sqlite3.Connection, path: Path) -> None:
    """Leave other programs' databases alone; an empty one may become ours. Raises StoreError."""
    application: int = connection.execute("PRAGMA application_id").fetchone()[0]
    tables: int = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    if application != APPLICATION_ID and tables:
        raise StoreError(f"{path}: this is another program's database; choose another directory with --data-dir")
