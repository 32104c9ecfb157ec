"""The bare limit: a poll loop, a ROUTER, one table with a full fsync, group commit inline, a warm worker; nothing else.

It checks nothing, knows no priorities, cancels nothing and tells nobody: the least that keeps a queue durable. Started
as `python -m benchmarks.core.limit DIRECTORY`, it prints its endpoint. Requests are msgpack maps: `{"op": "submit",
"n": 3, "p": payload}` is answered after the commit, `{"op": "run"}` starts to work the queue off, `{"op": "left"}`
counts what is not done.
"""

import multiprocessing
import sqlite3
import sys
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import msgspec
import zmq

MAX_GROUP = 256


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


def _serve(connection: sqlite3.Connection, router: zmq.Socket[bytes], worker: Connection) -> None:
    poller = zmq.Poller()
    poller.register(router, zmq.POLLIN)
    poller.register(worker.fileno(), zmq.POLLIN)
    while True:
        ready = dict(poller.poll())
        if router in ready:
            _answer_group(connection, router, worker)
        if worker.fileno() in ready:
            done = worker.recv_bytes()
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("UPDATE queue SET state = 2 WHERE id = ?", (int.from_bytes(done, "big"),))
            _claim(connection, worker)


def _answer_group(connection: sqlite3.Connection, router: zmq.Socket[bytes], worker: Connection) -> None:
    """Take what is there, commit it at once, answer all."""
    answers: list[tuple[list[bytes], bytes]] = []
    is_writing = False
    while len(answers) < MAX_GROUP:
        try:
            *route, body = router.recv_multipart(zmq.NOBLOCK)
        except zmq.Again:
            break
        request: dict[str, Any] = msgspec.msgpack.decode(body)
        if request["op"] == "submit":
            if not is_writing:
                connection.execute("BEGIN IMMEDIATE")
                is_writing = True
            rows = [(request["p"],)] * request["n"]
            connection.executemany("INSERT INTO queue (state, payload) VALUES (0, ?)", rows)
        elif request["op"] == "run":
            connection.execute("BEGIN IMMEDIATE")
            _claim(connection, worker)
        answers.append((route, body))
    if is_writing:
        connection.execute("COMMIT")
    for route, body in answers:
        router.send_multipart([*route, _reply(connection, body)])


def _reply(connection: sqlite3.Connection, body: bytes) -> bytes:
    if msgspec.msgpack.decode(body)["op"] == "left":
        return msgspec.msgpack.encode(connection.execute("SELECT count(*) FROM queue WHERE state < 2").fetchone()[0])
    return b"\xc3"


def _claim(connection: sqlite3.Connection, worker: Connection) -> None:
    """Commit what was begun together with the next claim, and hand it to the worker."""
    row = connection.execute("SELECT id, payload FROM queue WHERE state = 0 ORDER BY id LIMIT 1").fetchone()
    if row is not None:
        connection.execute("UPDATE queue SET state = 1 WHERE id = ?", (row[0],))
    connection.execute("COMMIT")
    if row is not None:
        worker.send_bytes(row[0].to_bytes(8, "big"))


def _work(pipe: Connection) -> None:
    """Do nothing, warm."""
    while True:
        pipe.send_bytes(pipe.recv_bytes())


if __name__ == "__main__":
    main()
