"""Brings a database to the newest schema, with a verified copy of what it was beside it."""

import sqlite3
from contextlib import ExitStack
from importlib.resources import files
from pathlib import Path

from stoker_daemon.sqlite.copying import copy_database
from stoker_daemon.sqlite.database import (
    APPLICATION_ID,
    FILE_NAME,
    StoreError,
    connect,
    explain,
    refuse_strangers,
    rewrite_log,
)

CHECKED_BYTES = 64 << 20
"""Up to this size a database is checked whole at each start, which then takes some 0.2 s."""


def open_database(data_dir: Path) -> sqlite3.Connection:
    """The connection of the one writer, with the schema up to date.

    Raises:
        StoreError: The file is no database of ours, damaged, newer than this program, or can't be written.
    """
    path = data_dir / FILE_NAME
    rewrite_log(path)
    with ExitStack() as undo:
        try:
            connection = connect(path)
            undo.callback(connection.close)
            refuse_strangers(connection, path)
            _refuse_damaged(connection, path)
            _migrate(connection, path)
        except sqlite3.DatabaseError as error:
            raise StoreError(explain(path, error)) from error
        undo.pop_all()
    return connection


def newest_schema() -> int:
    """The schema that this program works with."""
    return len(_migrations())


def _refuse_damaged(connection: sqlite3.Connection, path: Path) -> None:
    """Look for damage where that is quick; a large file shows it when the damaged part is read, or to `stokerd check`.

    Raises:
        sqlite3.DatabaseError: There is some.
    """
    if path.stat().st_size > CHECKED_BYTES:
        return
    (problem,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if problem != "ok":
        raise sqlite3.DatabaseError(f"malformed: {problem.splitlines()[-1]}")


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Apply the migrations that this database lacks, each with its number in one transaction."""
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    migrations = _migrations()
    if version > len(migrations):
        raise StoreError(
            f"{path}: the database has schema {version}, this stokerd knows up to {len(migrations)}; install the newer"
            f" version again, or restore {_backup_for(path, len(migrations))}"
        )
    if 0 < version < len(migrations):
        copy_database(path, _copy_before(path, version + 1))
    for number, script in enumerate(migrations[version:], start=version + 1):
        marks = f"PRAGMA application_id={APPLICATION_ID}; PRAGMA user_version={number};"
        connection.executescript(f"BEGIN IMMEDIATE;\n{script}\n{marks}\nCOMMIT;")


def _backup_for(path: Path, newest: int) -> str:
    """What a program that knows schemas up to `newest` can go on with, and the command for it."""
    copies = [_copy_before(path, number) for number in range(newest + 1, 1, -1)]
    copy = next((copy for copy in copies if copy.exists()), None)
    if copy is None:
        return "a backup made before the upgrade: stokerd restore FILE"
    return f"the queue as it was before the upgrade: stokerd --data-dir {path.parent} restore {copy}"


def _copy_before(path: Path, schema: int) -> Path:
    """Where the database is kept as it was before it got this schema."""
    return path.with_name(f"{path.name}.before-schema-{schema}")


def _migrations() -> list[str]:
    folder = files("stoker_daemon.sqlite") / "migrations"
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return [(folder / name).read_text() for name in names]
