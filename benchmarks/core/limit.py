"""The bare limit: a poll loop, a ROUTER, one table with a full fsync, group commit inline, a warm worker; nothing else.

It checks nothing, knows no priorities, cancels nothing and tells nobody: the least that keeps a queue durable. Started
as `python -m benchmarks.core.limit DIRECTORY`, it prints its endpoint. Requests are msgpack maps: `{"op": "submit",
"n": 3, "p": payload}` is answered after the commit, `{"op": "run"}` starts to work off what there is and what comes,
`{"op": "left"}` counts what is not done.
"""

import multiprocessing
import sqlite3
import sys
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import msgspec
import zmq

from benchmarks.core.marks import tell

MAX_GROUP = 256
ID_BYTES = 8


def main() -> None:
    """Serve until the process is killed."""
    connection = open_table(Path(sys.argv[1]))
    ours, theirs = multiprocessing.Pipe()
    worker = multiprocessing.Process(target=_work, args=(theirs,), daemon=True)
    worker.start()
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    router = context.socket(zmq.ROUTER)
    port = router.bind_to_random_port("tcp://127.0.0.1")
    print(f"tcp://127.0.0.1:{port}", flush=True)
    _serve(connection, router, ours)


def open_table(folder: Path) -> sqlite3.Connection:
    """A database of one table; a commit waits for the disk."""
    connection = sqlite3.connect(folder / "limit.sqlite3", isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE queue (id INTEGER PRIMARY KEY, state INTEGER NOT NULL, payload BLOB NOT NULL)")
    connection.execute("CREATE INDEX waiting ON queue (id) WHERE state = 0")
    return connection


def _serve(connection: sqlite3.Connection, router: zmq.Socket[bytes], pipe: Connection) -> None:
    poller = zmq.Poller()
    poller.register(router, zmq.POLLIN)
    poller.register(pipe.fileno(), zmq.POLLIN)
    worker = _Worker(connection, pipe)
    while True:
        ready = dict(poller.poll())
        if router in ready:
            _answer_group(connection, router, worker)
        if pipe.fileno() in ready:
            worker.finish()


class _Worker:
    """The process that does the work, from here: it is given one row at a time, once work has begun."""

    def __init__(self, connection: sqlite3.Connection, pipe: Connection) -> None:
        self._connection, self._pipe = connection, pipe
        self._has_begun = self._is_busy = False

    def begin(self) -> None:
        """Work off what there is and what comes."""
        self._has_begun = True
        self.look()

    def look(self) -> None:
        """Claim a row, if it idles."""
        if self._has_begun and not self._is_busy:
            self._connection.execute("BEGIN IMMEDIATE")
            self._claim()

    def finish(self) -> None:
        """Record what was done, in one commit with the next claim."""
        done = self._pipe.recv_bytes()
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.execute("UPDATE queue SET state = 2 WHERE id = ?", (int.from_bytes(done, "big"),))
        self._claim()

    def _claim(self) -> None:
        """Commit what was begun together with the next claim, and hand that over."""
        row = self._connection.execute("SELECT id, payload FROM queue WHERE state = 0 ORDER BY id LIMIT 1").fetchone()
        if row is not None:
            self._connection.execute("UPDATE queue SET state = 1 WHERE id = ?", (row[0],))
        self._connection.execute("COMMIT")
        self._is_busy = row is not None
        if row is not None:
            self._pipe.send_bytes(row[0].to_bytes(ID_BYTES, "big") + row[1])


def _answer_group(connection: sqlite3.Connection, router: zmq.Socket[bytes], worker: _Worker) -> None:
    """Take what is there, commit it at once, answer all."""
    answers: list[tuple[list[bytes], dict[str, Any]]] = []
    rows: list[tuple[bytes]] = []
    while len(answers) < MAX_GROUP:
        try:
            *route, body = router.recv_multipart(zmq.NOBLOCK)
        except zmq.Again:
            break
        request: dict[str, Any] = msgspec.msgpack.decode(body)
        if request["op"] == "submit":
            rows += [(request["p"],)] * request["n"]
        answers.append((route, request))
    if rows:
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany("INSERT INTO queue (state, payload) VALUES (0, ?)", rows)
        connection.execute("COMMIT")
    for route, request in answers:
        router.send_multipart([*route, _reply(connection, request)])
    if any(request["op"] == "run" for _, request in answers):
        worker.begin()
    elif rows:
        worker.look()


def _reply(connection: sqlite3.Connection, request: dict[str, Any]) -> bytes:
    if request["op"] == "left":
        return msgspec.msgpack.encode(connection.execute("SELECT count(*) FROM queue WHERE state < 2").fetchone()[0])
    return b"\xc3"


def _work(pipe: Connection) -> None:
    """Do nothing, warm."""
    while True:
        job = pipe.recv_bytes()
        tell(job[ID_BYTES:].decode())
        pipe.send_bytes(job[:ID_BYTES])


if __name__ == "__main__":
    main()
