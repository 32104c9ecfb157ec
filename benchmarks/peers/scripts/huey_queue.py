"""Huey on a SQLite file, with its own consumer of one thread."""

# pyright: basic, reportMissingImports=false

import os

from huey import SqliteHuey

from benchmarks.core.marks import PAYLOAD, tell
from benchmarks.peers.work import WHERE, Found, Order, Worker, measure_work, memory_mib, rate, script

queue = SqliteHuey("work", filename=os.environ[WHERE], fsync=True, results=False)


@queue.task()
def nothing(payload: str) -> None:
    """Do nothing, but for what is marked."""
    tell(payload)


def measure(where: str, order: Order) -> Found:
    """All that it has."""
    idle = SqliteHuey("idle", filename=f"{where}.idle", fsync=True, results=False)
    submit = idle.task()(nothing.func)
    found = {"one by one": rate(lambda: submit(PAYLOAD), order.one_by_one)}
    command = ["huey_consumer", f"{__spec__.name}.queue", "--quiet", "--no-periodic", "--disable-health-check"]
    with Worker(command, where).at_hand() as worker:
        found |= measure_work(nothing, lambda items: [nothing(PAYLOAD) for _ in range(items)], worker.begin, order)
        return {**found, "memory": memory_mib(worker.pid)}


if __name__ == "__main__":
    from benchmarks.peers.scripts import huey_queue  # the tasks by the name that the consumer knows them by

    script(huey_queue.measure)
