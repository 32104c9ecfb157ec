"""Copies of the database: made while the daemon works, verified before they get their name."""

import os
import secrets
import sqlite3
from contextlib import closing
from pathlib import Path

from stoker_daemon.sqlite.database import StoreError, refuse_strangers

Counts = dict[str, int]
"""How many rows each table has."""


def copy_database(source: Path, target: Path) -> Counts:
    """Copy a database, also one at work, as one file that only its owner may read; how many rows each table has.

    The copy is as of one moment. It gets its name only when it is whole and on disk; what had that name is replaced.

    Raises:
        StoreError: The source is no database of ours, or the copy is not what was copied.
        OSError, sqlite3.Error: Something can't be read or written.
    """
    part = target.with_name(f"{target.name}.part")
    part.unlink(missing_ok=True)
    os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        counts = _copy(source, part)
        if verify(part) != counts:
            raise StoreError(f"{target}: the copy has other rows than {source}; is the disk sound?")
        sync(part)
        part.replace(target)
        sync(target.parent)
    finally:
        part.unlink(missing_ok=True)
    return counts


def verify(path: Path) -> Counts:
    """Look through a whole database; how many rows each table has.

    Raises:
        StoreError: It is none of ours, or it is damaged.
    """
    with closing(_open(path)) as connection:
        refuse_strangers(connection, path)
        problems = [line for (line,) in connection.execute("PRAGMA integrity_check(3)") if line != "ok"]
        if problems:
            raise StoreError(f"{path}: the database is damaged: {'; '.join(problems)}; use another copy")
        return _counts(connection)


def renew_instance(path: Path) -> None:
    """Give a database another id: clients take a new snapshot instead of trusting what they knew."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE meta SET value = ? WHERE key = 'instance_id'", (secrets.token_hex(8),))
    sync(path)


def sync(path: Path) -> None:
    """Have a file's bytes, or a folder's names, on disk for good."""
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def _copy(source: Path, target: Path) -> Counts:
    with closing(_open(source)) as old, closing(sqlite3.connect(target, isolation_level=None)) as new:
        refuse_strangers(old, source)
        # One read transaction around both: what is counted is what is copied, whatever the daemon commits meanwhile.
        old.execute("BEGIN")
        counts = _counts(old)
        old.backup(new)
        new.execute("PRAGMA journal_mode=DELETE")  # a single file, without a log beside it
        return counts


def _open(path: Path) -> sqlite3.Connection:
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such file")
    connection = sqlite3.connect(path, isolation_level=None, timeout=30)
    connection.execute("PRAGMA query_only=1")
    return connection


def _counts(connection: sqlite3.Connection) -> Counts:
    tables = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").fetchall()
    return {name: connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for (name,) in tables}
