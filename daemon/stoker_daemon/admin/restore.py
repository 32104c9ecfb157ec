"""Puts a backup in the database's place; the old database is kept beside it."""

import os
import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path

from stoker_daemon.sqlite.copying import Counts, copy_database, renew_instance, sync
from stoker_daemon.sqlite.database import FILE_NAME, Lock, StoreError, explain
from stoker_daemon.sqlite.migrating import newest_schema


def restore(backup: Path, data_dir: Path, now: datetime) -> tuple[Counts, Path | None]:
    """Begin anew from a backup: its row counts, and where the old database is now, if there was one.

    The database gets a new instance id, so that clients take a snapshot instead of trusting what they knew.

    Raises:
        StoreError: A daemon is running here, or the backup can't be used; nothing has changed.
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    lock = Lock(data_dir)
    lock.take()
    try:
        return _replace(backup, data_dir / FILE_NAME, f"{now:%Y%m%d-%H%M%S}")
    except sqlite3.Error as error:
        raise StoreError(explain(backup, error)) from error
    finally:
        lock.release()


def _replace(backup: Path, database: Path, stamp: str) -> tuple[Counts, Path | None]:
    fresh = database.with_name(f"{FILE_NAME}.restoring")
    try:
        counts = copy_database(backup, fresh)
        _refuse_newer(fresh, backup)
        renew_instance(fresh)
        aside = _put_aside(database, database.with_name(f"{FILE_NAME}.before-restore-{stamp}"))
        fresh.replace(database)
        sync(database.parent)
    finally:
        fresh.unlink(missing_ok=True)
    return counts, aside


def _refuse_newer(database: Path, backup: Path) -> None:
    with closing(sqlite3.connect(database)) as connection:
        (schema,) = connection.execute("PRAGMA user_version").fetchone()
    if schema > newest_schema():
        raise StoreError(
            f"{backup}: it has schema {schema}, this stokerd knows up to {newest_schema()}; install the version that"
            " made it"
        )


def _put_aside(database: Path, aside: Path) -> Path | None:
    """Give the old database a second name. Its log must not stay: it would be taken for that of the new one."""
    if not database.exists():
        return None
    _fold_log(database)
    for suffix in ("-wal", "-shm"):
        log = database.with_name(database.name + suffix)
        if log.exists():
            log.rename(aside.with_name(aside.name + suffix))
    os.link(database, aside)
    return aside


def _fold_log(database: Path) -> None:
    """Bring what is only in the log into the database, unless it is damaged: then the log is kept with it."""
    try:
        with closing(sqlite3.connect(database)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except sqlite3.DatabaseError:
        return
