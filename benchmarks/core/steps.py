"""The bare limit with one thing more at each step that the daemon can't do without, all in one thread.

Started as `python -m benchmarks.core.steps STEP DIRECTORY`, it prints its endpoint and takes submits as clients send
them.
"""

import sqlite3
import sys
import time
from collections.abc import Callable, Coroutine
from enum import StrEnum
from pathlib import Path
from typing import Any

import zmq

from benchmarks.core import limit
from benchmarks.core.noop import Noop
from stoker_daemon.engines.fitting import check_items
from stoker_daemon.jobs.records import Placement, Signature
from stoker_daemon.sqlite import accepting
from stoker_daemon.sqlite.migrating import open_database
from stoker_daemon.sqlite.writer import Transaction
from stoker_protocol import codec
from stoker_protocol.replies import Submitted
from stoker_protocol.requests import Submit

Frames = list[bytes]
MAX_PENDING = 100_000_000


class Step(StrEnum):
    """What is done to a submit, each with what the ones before it do."""

    DECODED = "read as the struct of a submit, each item stored as a row of one table"
    CHECKED = "checked against the engine's parameters, and a fingerprint made"
    KEPT = "kept as rows of a job, of its items and of the queue, and an event"
    TOLD = "the event published"


def main() -> None:
    """Serve until the process is killed."""
    step, folder = Step[sys.argv[1]], Path(sys.argv[2])
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    router, publisher = context.socket(zmq.ROUTER), context.socket(zmq.PUB)
    port = router.bind_to_random_port("tcp://127.0.0.1")
    publisher.bind_to_random_port("tcp://127.0.0.1")
    write = (
        _keep(folder, publisher if step is Step.TOLD else None) if step in (Step.KEPT, Step.TOLD) else _store(folder)
    )
    print(f"tcp://127.0.0.1:{port}", flush=True)
    while True:
        router.poll()
        _answer_group(router, step, write)


Write = Callable[[list[tuple[Submit, bytes]]], None]


def _answer_group(router: zmq.Socket[bytes], step: Step, write: Write) -> None:
    """Take what is there, commit it at once, answer all."""
    routes: list[Frames] = []
    submits: list[tuple[Submit, bytes]] = []
    while len(routes) < limit.MAX_GROUP:
        try:
            *route, body = router.recv_multipart(zmq.NOBLOCK)
        except zmq.Again:
            break
        request = codec.decode_request(body)
        assert isinstance(request, Submit)
        if step is not Step.DECODED:
            _finish(check_items(Noop.describe({}).parameters, request))
        if step is Step.CHECKED:
            codec.fingerprint(body)
        routes.append(route)
        submits.append((request, body))
    if submits:
        write(submits)
    for route, (request, _) in zip(routes, submits, strict=True):
        reply = Submitted(id=request.id, job_id=request.job_id, items=len(request.items), model="noop")
        router.send_multipart([*route, codec.encode(reply)])


def _finish(coroutine: Coroutine[Any, Any, None]) -> None:
    """Go through with what waits for nothing but its turn."""
    try:
        while True:
            coroutine.send(None)
    except StopIteration:
        return


def _store(folder: Path) -> Write:
    """Into the one table of the limit."""
    connection = limit.open_table(folder)

    def write(submits: list[tuple[Submit, bytes]]) -> None:
        connection.execute("BEGIN IMMEDIATE")
        rows = [(bytes(item.params),) for request, _ in submits for item in request.items if item.params]
        connection.executemany("INSERT INTO queue (state, payload) VALUES (0, ?)", rows)
        connection.execute("COMMIT")

    return write


def _keep(folder: Path, publisher: zmq.Socket[bytes] | None) -> Write:
    """Into the daemon's own tables."""
    connection: sqlite3.Connection = open_database(folder)
    placement = Placement("noop", Signature("noop", "noop", "noop"))
    head = 0

    def write(submits: list[tuple[Submit, bytes]]) -> None:
        nonlocal head
        transaction = Transaction(connection, time.time_ns() // 1_000_000, head)
        connection.execute("BEGIN IMMEDIATE")
        orders = [accepting.Submission(request, body, "local", placement) for request, body in submits]
        accepting.accept(transaction, orders, MAX_PENDING)
        transaction.finish()
        connection.execute("COMMIT")
        head = transaction.head
        for event in transaction.events if publisher else ():
            publisher.send_multipart([event.topic.encode(), event.body])  # pyright: ignore[reportOptionalMemberAccess]

    return write


if __name__ == "__main__":
    main()
