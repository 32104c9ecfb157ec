"""A database meets a newer program: it is copied, brought to the new schema, and nothing in it is lost."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from stoker_daemon.sqlite import migrating
from stoker_daemon.sqlite.copying import verify
from stoker_daemon.sqlite.database import FILE_NAME, StoreError

DATABASES = Path(__file__).parent / "databases"
OLD = sorted(DATABASES.glob("schema-*.sqlite3"))


@pytest.fixture(params=OLD, ids=lambda path: path.stem)
def data_dir(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A data directory with a database that an earlier version left."""
    (tmp_path / FILE_NAME).write_bytes(request.param.read_bytes())
    return tmp_path


def add_migration(monkeypatch: pytest.MonkeyPatch, script: str) -> int:
    """Let the program know one more schema; its number."""
    known = migrating._migrations()
    monkeypatch.setattr(migrating, "_migrations", lambda: [*known, script])
    return len(known) + 1


def rows(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """Everything in a database."""
    with closing(sqlite3.connect(path)) as connection:
        tables = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
        return {name: connection.execute(f"SELECT * FROM {name}").fetchall() for (name,) in tables}


def schema(path: Path) -> set[tuple[str, str]]:
    """What a database is made of."""
    with closing(sqlite3.connect(path)) as connection:
        return set(connection.execute("SELECT name, coalesce(sql, '') FROM sqlite_schema"))


def test_an_old_database_is_copied_before_it_changes(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """We expect a sound copy of the old rows beside the database before its first pending migration; both open."""
    migrating.open_database(data_dir).close()
    before = rows(data_dir / FILE_NAME)
    number = add_migration(monkeypatch, "CREATE TABLE extra (a TEXT) STRICT; DELETE FROM events;")
    migrating.open_database(data_dir).close()
    copy = data_dir / f"{FILE_NAME}.before-schema-{number}"
    assert rows(copy) == before
    assert verify(copy)["jobs"] == len(before["jobs"]) > 0
    assert verify(data_dir / FILE_NAME)["events"] == 0
    (data_dir / FILE_NAME).write_bytes(copy.read_bytes())
    monkeypatch.undo()
    migrating.open_database(data_dir).close()
    assert rows(data_dir / FILE_NAME) == before


def test_a_migration_that_fails_changes_nothing(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """We expect an error that names the file, the old rows in place, and the next start to try again."""
    migrating.open_database(data_dir).close()
    before = rows(data_dir / FILE_NAME)
    add_migration(monkeypatch, "DELETE FROM events; CREATE TABLE jobs (a TEXT);")
    with pytest.raises(StoreError, match=FILE_NAME):
        migrating.open_database(data_dir)
    monkeypatch.undo()
    migrating.open_database(data_dir).close()
    assert rows(data_dir / FILE_NAME) == before


def test_an_old_database_becomes_as_a_new_one(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """We expect the same tables, indexes and triggers in both: a migration that was released never changes."""
    new = tmp_path_factory.mktemp("new")
    for folder in (new, data_dir):
        migrating.open_database(folder).close()
    assert schema(data_dir / FILE_NAME) == schema(new / FILE_NAME)


def test_a_new_database_needs_no_copy(tmp_path: Path) -> None:
    """We expect nothing beside a database that is made now or is of the newest schema already."""
    for _ in range(2):
        migrating.open_database(tmp_path).close()
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]


def test_without_a_copy_nothing_is_migrated(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """We expect that a database is left as it is when its copy can't be made."""
    migrating.open_database(data_dir).close()
    before = rows(data_dir / FILE_NAME)
    number = add_migration(monkeypatch, "CREATE TABLE extra (a TEXT) STRICT;")
    (data_dir / f"{FILE_NAME}.before-schema-{number}").mkdir()
    with pytest.raises(OSError, match="before-schema"):
        migrating.open_database(data_dir)
    assert rows(data_dir / FILE_NAME) == before
