"""What came to one lane and what it took there, read from the database for a trace, also while a daemon works."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from stoker_daemon.sqlite.database import FILE_NAME, StoreError, refuse_strangers
from stoker_daemon.sqlite.rows import PRIORITIES
from stoker_protocol import codec
from stoker_protocol.events import ModelLoaded, topic_of_lane
from stoker_protocol.jobs import Priority


class Came(NamedTuple):
    """One item: when it came, for which model, and how urgent its job is."""

    at_ms: int
    model: str
    priority: Priority


class Ran(NamedTuple):
    """One run that ended: its model, how many items it had, and the seconds from its claim to its record."""

    model: str
    items: int
    seconds: float


class Recording:
    """The part of a database that concerns one lane; closed with `with`."""

    def __init__(self, data_dir: Path, lane: str) -> None:
        """Raises StoreError: there is no database of ours."""
        path = data_dir / FILE_NAME
        if not path.is_file():
            raise StoreError(f"{path}: there is no such file")
        self._connection = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)
        self._lane = lane
        try:
            refuse_strangers(self._connection, path)
        except BaseException:
            self._connection.close()
            raise

    def __enter__(self) -> "Recording":
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def came(self) -> Iterator[Came]:
        """All items for engines of the lane, in order of arrival."""
        rows = self._connection.execute(
            "SELECT added_ms, signatures.engine, residency, lots.priority FROM items JOIN lots USING (job_key)"
            " JOIN signatures USING (signature_id) WHERE signatures.engine IN ("
            "SELECT DISTINCT engine FROM runs JOIN signatures USING (signature_id) WHERE lane = ?) ORDER BY added_ms",
            (self._lane,),
        )
        for at_ms, engine, residency, priority in rows:
            yield Came(at_ms, _name(engine, residency), PRIORITIES[priority])

    def ran(self) -> Iterator[Ran]:
        """All runs that ended, in the order that they began."""
        rows = self._connection.execute(
            "SELECT engine, residency, (SELECT count(*) FROM attempts WHERE attempts.run_id = runs.run_id),"
            " finished_ms - claimed_ms FROM runs JOIN signatures USING (signature_id)"
            " WHERE lane = ? AND finished_ms IS NOT NULL ORDER BY claimed_ms, run_id",
            (self._lane,),
        )
        for engine, residency, items, took_ms in rows:
            yield Ran(_name(engine, residency), items, max(took_ms, 0) / 1000)

    def loads(self) -> Iterator[tuple[str, float]]:
        """Each load that is told of: the model and the seconds that it took."""
        query = "SELECT body FROM events WHERE thread = ? ORDER BY seq"
        for (body,) in self._connection.execute(query, (topic_of_lane(self._lane),)):
            event = codec.decode_event(body)
            if isinstance(event, ModelLoaded):
                yield _name(event.engine, event.model), event.seconds


def _name(engine: str, residency: str) -> str:
    return f"{engine}/{residency}"
